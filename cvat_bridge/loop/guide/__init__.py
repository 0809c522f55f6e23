"""What annotators read of a round: their jobs in order, what to look at, how long it takes."""
