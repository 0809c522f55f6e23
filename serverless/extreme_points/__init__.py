"""Four clicks to a mask as a Nuclio function, with the weights that ship."""
