"""Reads files of pictures and masks within limits, and says what a file holds."""
