"""The publishable artefact: weights with their card."""
