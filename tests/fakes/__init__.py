"""In-memory stand-ins that implement the seams."""
