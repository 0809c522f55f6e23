"""Clicks to masks, without torch: parsing clicks, running the network, refining edges."""
