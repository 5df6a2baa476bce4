"""Training of the network that finds handwritten ink: scenes, loop, export."""
