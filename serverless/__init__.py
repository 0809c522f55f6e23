"""What CVAT calls: the wire form, the function host, one folder an engine."""
