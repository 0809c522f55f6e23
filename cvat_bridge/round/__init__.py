"""The eight steps of a round, what decides in them, and the durable workflow that runs them."""
