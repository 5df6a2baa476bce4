"""Image files as cameras, scanners and other programs write them, as 8-bit pixels in sRGB."""
