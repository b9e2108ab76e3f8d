"""Measures how much restyled films flicker: `kgan evaluate --film` and `--moves`."""
