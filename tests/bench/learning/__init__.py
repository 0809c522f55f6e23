"""Parts of the bench of what is learnt."""
