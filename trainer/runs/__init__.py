"""A fit from request to evaluated bundle, in a folder from which it can resume."""
