"""One runnable module per model: `python -m train.<name>`; data sets in `data`, loop in `loop`, diary in LOG.md."""
