"""What models got right and wrong on frames with known labels, recorded when a round judges."""
