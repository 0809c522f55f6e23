"""An image as a row of numbers that is near those of images like it, before anything is learnt.

`embedder(folder)` is the one to ask: it gives the features that ImageNet taught where they are
installed, else the description that needs no model, and says which and why.
"""

from __future__ import annotations

from trainer.embedding.embedders import Descriptor, Embedder, Features, embedder

__all__ = ["Descriptor", "Embedder", "Features", "embedder"]
