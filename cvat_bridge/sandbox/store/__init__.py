"""The sandbox's database and folders."""
