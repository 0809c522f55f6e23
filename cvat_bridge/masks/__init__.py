"""Boxes that labels want as masks or polygons: which interactor draws them, and when."""
