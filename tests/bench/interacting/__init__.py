"""What the bench of the interactor is made of."""
