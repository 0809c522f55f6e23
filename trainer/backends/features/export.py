"""Export the encoder with ImageNet weights to ONNX: one embedding per image.

`python -m trainer.backends.features.export FILE` writes it, in a process of its own so that the
caller never loads torch. If it fails, its last line on stderr is the reason.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from trainer.backends.features.pretrained import lite0
from trainer.backends.learning.onnx_writing import write_onnx
from trainer.errors import TrainerError

if TYPE_CHECKING:
    from torch import Tensor


class PooledFeatures(nn.Module):
    """Map images (B, 3, H, W) float, 0..255 RGB, to (B, 320): the mean stride-32 features."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = lite0()

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings."""
        pooled: Tensor = self.encoder(images)[-1].mean(dim=(2, 3))
        return pooled


def export(path: Path, *, side: int) -> None:
    """Write the encoder for images of side x side pixels, with a dynamic batch.

    Raises ConfigError if the weights are not installed, TrainingError if they are not the pinned
    ones.
    """
    network = PooledFeatures().eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        write_onnx(
            network,
            (torch.zeros(2, 3, side, side),),
            path,
            inputs=["images"],
            outputs=["embedding"],
            free={"images": "batch", "embedding": "batch"},
        )


def main() -> int:
    """Write the file for the path and side in the arguments."""
    try:
        export(Path(sys.argv[1]), side=int(sys.argv[2]))
    except TrainerError as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
