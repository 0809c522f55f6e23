"""What a model must show before people are given its answers."""
