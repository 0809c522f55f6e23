"""The promotion gate: what a model must achieve before it serves."""
