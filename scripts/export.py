"""Runs `kgan export` from a clone (python scripts/export.py --help)."""

import sys

from kgan.cli import main

if __name__ == "__main__":  # worker processes import this file again
    sys.exit(main(["export", *sys.argv[1:]]))
