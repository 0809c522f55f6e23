"""Records that were lost, are old or contradict each other: seen at every start, and restored."""
