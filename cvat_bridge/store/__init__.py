"""Artefacts that several machines share: what the bridge keeps in the store of `store:`."""
