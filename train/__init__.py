"""One runnable module or package a model: `python -m train.<name>`.

Data sets in `data`, the loop in `loop`, what several share in `common/`, the diary in LOG.md.
"""
