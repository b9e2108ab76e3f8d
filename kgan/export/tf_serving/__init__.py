"""Files for TensorFlow Serving beside the SavedModel: versions, warm-up requests and deployment files."""
