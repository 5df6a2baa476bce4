"""Training of the text-to-image model on drawings of emoji: `python -m train.text_to_image`."""
