"""The publishable artefact: weights with their model card."""
