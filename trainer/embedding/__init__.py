"""Image embeddings without training: similar images have nearby vectors.

`embedder(folder)` returns the best available one: ImageNet features if they are installed, else a
descriptor that needs no model, with the reason.
"""

from __future__ import annotations

from trainer.embedding.embedders import Descriptor, Embedder, Features, embedder

__all__ = ["Descriptor", "Embedder", "Features", "embedder"]
