"""The pages about tabs and endpoints, and what takes their pictures."""
