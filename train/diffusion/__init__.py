"""Training of the diffusion models on MNIST and CIFAR-10: `python -m train.diffusion`."""
