"""Webhooks: who listens to what, and the deliveries."""
