"""`kgan stylize`, runnable from a clone: python scripts/stylize.py --help"""

import sys

from kgan.cli import main

sys.exit(main(["stylize", *sys.argv[1:]]))
