"""Features that are already learnt: encoders with ImageNet weights, from packages, pinned."""
