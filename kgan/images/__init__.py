"""Pictures without TensorFlow: listing, decoding, colours, masks, blending and writing."""
