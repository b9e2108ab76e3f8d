"""`python -m kgan` is the command `kgan`."""

import sys

from kgan.cli import main

if __name__ == "__main__":
    sys.exit(main())
