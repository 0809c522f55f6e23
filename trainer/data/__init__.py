"""Datasets: what people marked, read, checked, divided and kept."""
