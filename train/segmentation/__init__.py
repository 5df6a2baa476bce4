"""Training of the U-Nets that segment road scenes: `python -m train.segmentation`."""
