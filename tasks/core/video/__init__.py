"""Video files: opened safely, read frame by frame, written in formats that browsers play."""
