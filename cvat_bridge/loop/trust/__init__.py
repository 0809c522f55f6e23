"""How far a model is trusted: it serves, it only informs the choice of frames, or neither."""
