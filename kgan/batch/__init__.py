"""Restyles millions of pictures with an Apache Beam pipeline, on this machine or on a cluster."""
