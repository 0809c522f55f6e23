"""Where our records stand: SQLite files in home, or schemas of one PostgreSQL."""
