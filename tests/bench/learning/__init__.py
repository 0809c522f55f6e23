"""What the learner's bench is made of."""
