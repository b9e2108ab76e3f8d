"""Training a run: devices, workers, callbacks, signals, the log of metrics."""
