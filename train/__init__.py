"""One runnable module per model: `python -m train.<name>`; the data in `data`, the loop in `loop`, the diary in LOG.md."""
