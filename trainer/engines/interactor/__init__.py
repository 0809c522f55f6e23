"""Clicks to masks, without torch: what clicks mean, the network, the image's own edges."""
