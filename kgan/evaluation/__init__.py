"""Evaluation of a model: its pictures, scores with intervals, the report and its HTML page."""
