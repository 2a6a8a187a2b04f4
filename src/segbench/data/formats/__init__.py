"""Data sets in the formats of annotation tools and of scanners."""
