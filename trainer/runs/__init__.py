"""A fit from a request to an evaluated bundle, in a folder to go on with."""
