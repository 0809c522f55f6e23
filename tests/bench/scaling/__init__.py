"""Parts of the bench `scale`."""
