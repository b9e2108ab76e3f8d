"""TensorFlow set up for graphs that are traced once and run a few times, as those of most tests."""

import tensorflow as tf


def set_up() -> None:
    """For this process: graphs are not rewritten to be faster, which would take longer than running them."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
