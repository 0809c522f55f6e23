"""Planted blind spots, and what the page makes of them."""
