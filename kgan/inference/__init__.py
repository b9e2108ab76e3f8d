"""Inference: loads a generator from a run, a SavedModel or a LiteRT file, restyles pictures and generates new ones."""
