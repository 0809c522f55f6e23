"""What the machine allows a fit or a model: cores, memory, disk."""
