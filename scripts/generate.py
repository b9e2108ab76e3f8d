"""`kgan generate`, runnable from a clone: python scripts/generate.py --help"""

import sys

from kgan.cli import main

sys.exit(main(["generate", *sys.argv[1:]]))
