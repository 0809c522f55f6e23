"""Backup, restore and move: the records of a bridge from one database to another."""
