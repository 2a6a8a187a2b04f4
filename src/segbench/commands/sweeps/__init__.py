"""Sweeps: planning cells, running them, showing their progress, searching options."""
