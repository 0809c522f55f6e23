"""The torchvision_detection engine as a Nuclio function."""
