"""Blind votes between two models: the page, and the count of its votes. It imports TensorFlow only to restyle."""
