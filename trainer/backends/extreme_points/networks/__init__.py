"""The networks of the interactor, and which of them a checkpoint holds."""
