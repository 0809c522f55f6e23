"""The long-running process: webhooks and polling."""
