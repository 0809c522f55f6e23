"""What the bench `house` counts in source text and in what is installed."""
