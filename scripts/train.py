"""Runs `kgan train` from a clone (python scripts/train.py --help)."""

import sys

from kgan.cli import main

if __name__ == "__main__":  # worker processes import this file again
    sys.exit(main(["train", *sys.argv[1:]]))
