"""Fine-tuning of the EfficientNet-Lite networks on CIFAR-10: `python -m train.photos`."""
