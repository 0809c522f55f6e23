"""Frames of CVAT at home: their files, their labels, their likeness, what a model said of them."""
