"""Groups of assets: named, versioned sets of frames."""
