"""Corrections of a mask: the previous mask is kept, and only the clicked area changes."""
