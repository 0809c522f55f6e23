"""A fit for the loop or by hand, and the interactor of a project."""
