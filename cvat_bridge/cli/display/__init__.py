"""How the commands show things: the status page, and what is told on stderr."""
