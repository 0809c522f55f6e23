"""Evaluation of models: matching, average precision, comparisons, pictures."""
