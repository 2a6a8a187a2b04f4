"""The figures and contact sheets of a comparison."""
