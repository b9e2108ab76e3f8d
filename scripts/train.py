"""`kgan train`, runnable from a clone: python scripts/train.py --help"""

import sys

from kgan.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
