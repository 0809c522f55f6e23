"""The semantic engine as a Nuclio function."""
