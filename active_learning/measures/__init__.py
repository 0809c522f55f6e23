"""Measures of a frame's value: uncertainty, class need, cost, and aggregation over objects."""
