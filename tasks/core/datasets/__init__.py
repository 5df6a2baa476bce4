"""Data sets that may lie on this machine; nothing is downloaded."""
