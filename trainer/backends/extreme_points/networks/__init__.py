"""The interactor's networks, and how to rebuild one from a checkpoint."""
