"""The error of every image that cannot be used."""


class ImageError(ValueError):
    """An image that cannot be used; the text is shown to the visitor."""
