"""From values and embeddings to a batch: rankings, k-centre, clusters, limits."""
