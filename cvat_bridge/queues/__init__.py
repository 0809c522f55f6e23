"""Work that any machine may take: what a round asks for, and who is there to do it."""
