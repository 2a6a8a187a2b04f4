"""How the files of a data set are arranged: patterns of paths, and kinds of masks."""
