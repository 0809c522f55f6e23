"""A round: its steps, what decides in them, and the durable workflow."""
