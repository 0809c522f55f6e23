"""What each screen shows, as values: queries over the records, no model and no long work."""
