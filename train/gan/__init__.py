"""Training of the class-conditional DCGAN on MNIST: `python -m train.gan`."""
