"""Learning curves: the rounds of one run or of several, drawn."""
