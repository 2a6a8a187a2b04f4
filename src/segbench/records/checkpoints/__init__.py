"""A cell's checkpoints: which are kept, and how their files are written and read."""
