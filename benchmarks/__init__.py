"""What the project claims of its speed, measured again: `python -m benchmarks.<name>`; not part of
the tests."""
