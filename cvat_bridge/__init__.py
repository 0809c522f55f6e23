"""CVAT through one seam, the round, the service, the command line and the sandbox."""
