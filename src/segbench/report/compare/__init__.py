"""Cells become entries, sections, tests and sentences."""
