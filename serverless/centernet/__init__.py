"""The centernet engine as a Nuclio function."""
