"""A cell: trains a network, selects the weights on val, scores them on test, records."""
