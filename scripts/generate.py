"""Runs `kgan generate` from a clone (python scripts/generate.py --help)."""

import sys

from kgan.cli import main

if __name__ == "__main__":  # worker processes import this file again
    sys.exit(main(["generate", *sys.argv[1:]]))
