"""What people type: the program `cvat-bridge`."""
