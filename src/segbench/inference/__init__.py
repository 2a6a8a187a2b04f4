"""Finished cells at work: predicting, exporting, scoring again."""
