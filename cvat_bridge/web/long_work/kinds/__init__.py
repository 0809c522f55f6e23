"""How each kind of long work is done: the same code that the commands call."""
