"""Runs `kgan evaluate` from a clone (python scripts/evaluate.py --help)."""

import sys

from kgan.cli import main

if __name__ == "__main__":  # worker processes import this file again
    sys.exit(main(["evaluate", *sys.argv[1:]]))
