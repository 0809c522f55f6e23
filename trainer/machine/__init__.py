"""The resources of the machine: cores, memory, disk."""
