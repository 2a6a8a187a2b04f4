"""Reads, checks and instantiates configs, and computes the identity of a cell."""
