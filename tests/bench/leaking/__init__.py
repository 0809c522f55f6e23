"""Failures provoked with a secret in every place that takes one, and where it was seen."""
