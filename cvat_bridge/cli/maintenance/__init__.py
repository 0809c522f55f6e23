"""Commands for when something went wrong."""
