"""Four clicks to a mask as a Nuclio function, with built-in weights."""
