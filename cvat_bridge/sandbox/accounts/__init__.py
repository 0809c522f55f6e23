"""Who asks, where, and what they may: users, tokens, organizations, permissions."""
