"""Models in the visitor's own browser: ONNX Runtime in a worker, files from our own origin."""
