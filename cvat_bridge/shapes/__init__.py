"""CVAT's shapes: how they are written, drawn, interpolated and compared. Pure."""
