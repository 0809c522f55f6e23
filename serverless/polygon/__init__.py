"""Masks to polygons of few vertices, and back."""

from trainer.moved import names_of

__getattr__ = names_of("serverless.polygon.polygons")
