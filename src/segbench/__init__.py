"""segbench: compare image-segmentation models honestly and fast."""
