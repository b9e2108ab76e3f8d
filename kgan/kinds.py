"""What runs choose by name, a table for each kind. The rows stand beside the functions and classes themselves."""

from kgan.registry import Registry, Row

FEATURES = Registry("FEATURES", "feature network", Row, folder="networks/features", group="kgan.features")
