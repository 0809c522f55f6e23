"""The screens *Train*, *Models* and *Run a model*: what they show."""
