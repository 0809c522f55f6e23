"""Selectors: from values and embeddings to a batch by ranking, k-centre, clusters, limits."""
