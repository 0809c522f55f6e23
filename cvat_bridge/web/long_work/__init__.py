"""Long work that people ask for on the page: queued, followed, stopped, resumed."""
