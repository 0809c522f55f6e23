"""How good a model is: matches, average precision, comparisons, pictures."""
