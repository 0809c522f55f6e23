"""What a frame is worth: uncertainty, need of a class, cost, and how objects become one value."""
