"""Validates a data set: unreadable files, duplicates, wrong masks."""
