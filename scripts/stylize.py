"""Runs `kgan stylize` from a clone (python scripts/stylize.py --help)."""

import sys

from kgan.cli import main

if __name__ == "__main__":  # worker processes import this file again
    sys.exit(main(["stylize", *sys.argv[1:]]))
