"""Pictures without TensorFlow: listed, decoded, coloured, masked, blended, and written."""
