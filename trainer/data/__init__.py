"""Datasets: labels and images, read, validated, split and stored."""
