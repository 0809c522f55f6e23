"""Work that goes on after the request that asked for it."""
