"""A model's answers on single frames, before they are written: for a person to look at and take."""
