"""Training of YOLO11n on scenes of digits, and fine-tuning of any YOLO: `-m train.detector`."""
