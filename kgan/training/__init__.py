"""Training: devices, workers, callbacks, signals and the log of metrics."""
