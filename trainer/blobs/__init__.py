"""Artefacts that several machines share: files by content in a folder or an object store."""
