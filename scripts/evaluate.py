"""`kgan evaluate`, runnable from a clone: python scripts/evaluate.py --help"""

import sys

from kgan.cli import main

sys.exit(main(["evaluate", *sys.argv[1:]]))
