"""`kgan export`, runnable from a clone: python scripts/export.py --help"""

import sys

from kgan.cli import main

sys.exit(main(["export", *sys.argv[1:]]))
