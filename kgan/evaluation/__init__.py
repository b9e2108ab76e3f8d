"""A model's pictures measured: which pictures, scores with intervals, the report and its page."""
