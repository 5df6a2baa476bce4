"""Machine learning on images: a package per task; what they share in `core` and `networks`."""
