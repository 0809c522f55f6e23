"""The addresses of the page: each is a query of `screens/`, shown by a template or as JSON."""
