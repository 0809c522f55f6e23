"""The same network on a torchvision backbone, which may start from published weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from trainer.backends.extreme_points.networks.unet import InteractorOutputs, IouHead, UpBlock
from trainer.data.files import file_sha256
from trainer.engines.interactor.clicks import CHANNELS
from trainer.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

# sha256 of torchvision's published weights; deploy/weights.lock lists the same for those who
# download them beforehand.
PUBLISHED = {
    "resnet18": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "mobilenet_v3_large": "8738ca797c879b547d18bbd15da5736ff2557b2036a9af72225393ca61759a04",
}
_LEVELS = {
    "resnet18": ("relu", "layer1", "layer2", "layer3", "layer4"),
    "mobilenet_v3_large": ("1", "3", "6", "12", "15"),
}


class BackboneUNet(nn.Module):
    """Map the channels of clicks.channels, (B, CHANNELS, H, W), to InteractorOutputs."""

    def __init__(self, name: str, *, width: int = 16, pretrained: bool = False) -> None:
        super().__init__()
        self.width = width
        self.backbone = name
        self.trunk, widths = _trunk(name, pretrained=pretrained)
        w = width
        wide = (2 * w, 3 * w, 4 * w, 6 * w)
        self.narrow = nn.Conv2d(widths[4], wide[3], 1, bias=False)
        self.side = nn.ModuleList(
            nn.Conv2d(given, kept, 1, bias=False)
            for given, kept in zip(widths[:4], wide, strict=True)
        )
        self.joins = nn.ModuleList(
            UpBlock(coarse, fine)
            for coarse, fine in (
                (wide[3], wide[3]),
                (wide[3], wide[2]),
                (wide[2], wide[1]),
                (wide[1], wide[0]),
            )
        )
        self.mask = nn.Conv2d(wide[0], 4, 3, padding=1)
        self.iou_head = IouHead(wide[3] + 2 * wide[0])

    def forward(self, seen: Tensor) -> InteractorOutputs:
        """Return the mask's logits and the estimated IoU."""
        levels = self.trunk(seen)
        x = functional.relu(self.narrow(levels[-1]))
        coarse = x
        for join, side, level in zip(
            self.joins, reversed(self.side), reversed(levels[:-1]), strict=True
        ):
            x = join(x, side(level))
        logits = functional.pixel_shuffle(self.mask(x), 2)
        return InteractorOutputs(logits, self.iou_head(logits, x, coarse))


class _Trunk(nn.Module):
    """The layers of a backbone in order; returns the features at each stride."""

    def __init__(self, layers: nn.ModuleDict, kept: tuple[str, ...]) -> None:
        super().__init__()
        self.layers, self.kept = layers, kept

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for name, layer in self.layers.items():
            x = layer(x)
            if name in self.kept:
                found.append(x)
        return found


def published(name: str) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights, from torch's cache or downloaded.

    Raises TrainingError when they cannot be downloaded or differ from the pinned ones.
    """
    from torchvision import models

    url = models.get_model_weights(name).IMAGENET1K_V1.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), PUBLISHED[name], progress=False)
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            "extreme_points",
            f"the published weights of {name} cannot be downloaded: {error}; put {path.name} into "
            f"{path.parent}, or set extra.pretrained to false",
        ) from error
    if (found := file_sha256(path)) != PUBLISHED[name]:
        raise TrainingError(
            "extreme_points", f"{path}: expected sha256 {PUBLISHED[name]}, found {found}"
        )
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _trunk(name: str, *, pretrained: bool) -> tuple[_Trunk, list[int]]:
    from torchvision import models

    whole = getattr(models, name)(weights=None)
    if pretrained:
        whole.load_state_dict(published(name))
    if name == "resnet18":
        parts = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
        layers = nn.ModuleDict({part: getattr(whole, part) for part in parts})
        layers["conv1"] = _widened(whole.conv1)
    else:
        layers = nn.ModuleDict({str(n): part for n, part in enumerate(whole.features[:16])})
        whole.features[0][0] = _widened(whole.features[0][0])
    trunk = _Trunk(layers, _LEVELS[name])
    with torch.no_grad():
        found: list[Tensor] = trunk.eval()(torch.zeros(1, CHANNELS, 64, 64))
    trunk.train()
    return trunk, [int(level.shape[1]) for level in found]


def _widened(first: nn.Conv2d) -> nn.Conv2d:
    """Return the first convolution widened to the clicks' channels, whose weights start small."""
    wide = nn.Conv2d(
        CHANNELS,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=False,
    )
    with torch.no_grad():
        wide.weight.mul_(0.1)
        wide.weight[:, :3] = first.weight
    return wide
