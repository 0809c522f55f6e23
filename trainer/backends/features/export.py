"""The encoder with its ImageNet weights as an ONNX file: images to one embedding each.

`python -m trainer.backends.features.export FILE` writes it, in a process of its own so that who
asks for it never loads torch. Its last line on stderr is the reason when it fails.
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
    """Images (B, 3, H, W) float, 0..255 RGB, to (B, 320): the mean of the features at stride 32."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = lite0()

    def forward(self, images: Tensor) -> Tensor:
        """Return the embeddings."""
        pooled: Tensor = self.encoder(images)[-1].mean(dim=(2, 3))
        return pooled


def export(path: Path, *, side: int) -> None:
    """Write the encoder for images of side x side pixels; any number of them at once.

    Raises ConfigError where the weights are not installed, TrainingError where they are others.
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
    """Write the file that is named, for images of the side that is named."""
    try:
        export(Path(sys.argv[1]), side=int(sys.argv[2]))
    except TrainerError as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
