"""The page of a comparison: one HTML file without references to other files."""
