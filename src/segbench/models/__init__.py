"""Networks: plain ``nn.Module``s, image in, logits out at the same size for any input size."""
