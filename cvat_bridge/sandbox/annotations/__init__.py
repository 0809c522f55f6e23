"""Tags, shapes and tracks: stored, merged into tasks, read back."""
