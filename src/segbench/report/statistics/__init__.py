"""The statistics of a comparison, on arrays; ``docs/statistics.md`` gives the reasons."""
