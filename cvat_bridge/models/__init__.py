"""Models that people bring: taken in, registered, published for CVAT, listed, removed."""
