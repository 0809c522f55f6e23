"""Corrections of a mask: what came before is kept, and only what the click asks for changes."""
