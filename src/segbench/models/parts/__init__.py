"""What networks are built of: convolution blocks, normalisation, and weights to start from."""
