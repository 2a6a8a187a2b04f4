"""Thin Lightning callbacks and loggers of a cell."""
