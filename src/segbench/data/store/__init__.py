"""The store of prepared images on disk, and the batches loaded from it."""
