"""The addresses of *Train*, *Models* and *Run a model*."""
