"""Initial weights of a fit: published weights, or an earlier model of the project."""
