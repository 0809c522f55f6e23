"""Screens about what people did: savings, likely mistakes, groups of assets."""
