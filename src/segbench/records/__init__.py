"""The files of a cell's folder: atomic writing, checked reading, locks and logs."""
