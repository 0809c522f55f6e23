"""The parts of the training bench."""
