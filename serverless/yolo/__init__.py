"""The yolo engine as a Nuclio function."""
