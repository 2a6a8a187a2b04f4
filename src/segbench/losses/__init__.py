"""Losses: plain ``nn.Module``s over pure functions, in float32, blind to ``ignore_index``."""
