"""Convert masks to polygons with few vertices, and back."""

from trainer.moved import names_of

__getattr__ = names_of("serverless.polygon.polygons")
