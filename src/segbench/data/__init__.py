"""Data sets: one LightningDataModule each, over one base."""
