"""The facts of a CVAT project: what is finished, what is free, what is ours."""
