"""Settings, recipes, run folders and trained models by name, as plain data. This package does not import TensorFlow."""
