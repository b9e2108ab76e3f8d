"""A trained generator at work: loaded from a run, a SavedModel or a LiteRT file; photos restyled, pictures drawn."""
