"""What TensorFlow Serving needs beside the SavedModel: versions, warm-up requests, deployment files."""
