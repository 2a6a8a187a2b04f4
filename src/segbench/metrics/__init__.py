"""Scores per image and class, and their aggregates, each named for its averaging."""
