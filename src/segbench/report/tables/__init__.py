"""The tables of a comparison: CSV, Markdown, LaTeX and terminal."""
