"""Commands that tell where the serving model fails, and send such frames to people."""
