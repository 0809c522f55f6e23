"""What people type: the program `trainer`."""
