"""TensorFlow set up for graphs that are traced once and run a few times, as those of most tests."""

import tensorflow as tf
from tensorflow.python.util import tf_stack


def set_up() -> None:
    """For this process: graphs are not rewritten to be faster, and their operations do not note where they were made.

    An operation notes all frames from the bottom of the stack, of which pytest and Keras have a hundred. That is a
    fifth of the time of tracing. Only the text of an error within a graph names these lines.
    """
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    here = tf_stack.extract_stack()
    tf_stack.extract_stack = lambda stacklevel=1: here
