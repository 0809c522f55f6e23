"""Features that are already learnt: the right network, the right weights, or a clear word."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from trainer.backends import backend
from trainer.backends.features.lite0 import CHANNELS, STRIDES, Lite0, folded
from trainer.backends.features.pretrained import SHA256, lite0, shipped_file
from trainer.data.files import file_sha256
from trainer.detector import FitConfig
from trainer.errors import ConfigError, TrainingError


@pytest.fixture(scope="module")
def published():
    return torch.load(shipped_file(), map_location="cpu", weights_only=True)


def normalised(published, x, name):
    keys = ("running_mean", "running_var", "weight", "bias")
    return functional.batch_norm(x, *(published[f"{name}.{key}"] for key in keys), eps=1e-3)


def test_the_shipped_weights_are_the_pinned_ones():
    assert file_sha256(shipped_file()) == SHA256


def test_features_have_the_shapes_they_are_said_to_have():
    found = lite0()(torch.zeros(2, 3, 64, 96))

    assert [tuple(f.shape) for f in found] == [
        (2, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(CHANNELS, STRIDES, strict=True)
    ]


def test_folding_the_normalisation_changes_nothing(published):
    """The first two layers, computed here as published, against the folded network."""
    x = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, 3, 32, 32))).float()
    stem = functional.conv2d(
        functional.pad(x, (0, 1, 0, 1)), published["_conv_stem.weight"], stride=2
    )
    stem = functional.relu6(normalised(published, stem, "_bn0"))
    deep = functional.conv2d(
        stem, published["_blocks.0._depthwise_conv.weight"], padding=1, groups=32
    )
    deep = functional.relu6(normalised(published, deep, "_blocks.0._bn1"))
    expected = functional.conv2d(deep, published["_blocks.0._project_conv.weight"])
    expected = normalised(published, expected, "_blocks.0._bn2")

    with torch.no_grad():
        found = lite0()(x * 127.5 + 127.5)[0]

    assert torch.allclose(found, expected, atol=1e-4)


def test_like_images_have_like_features():
    """Noise is like other noise, and a plain surface like another, whatever their brightness."""
    network = lite0().eval()
    rng = np.random.default_rng(0)
    noise = [rng.uniform(0, 255, (64, 64, 3)) for _ in range(2)]
    plain = [np.full((64, 64, 3), value) for value in (60.0, 200.0)]
    with torch.no_grad():
        images = torch.from_numpy(np.stack([*noise, *plain])).float().permute(0, 3, 1, 2)
        pooled = functional.normalize(network(images)[-1].mean(dim=(2, 3)), dim=1)
    alike = pooled @ pooled.T

    assert alike[0, 2] < alike[0, 1]
    assert alike[0, 2] < alike[2, 3]


def test_frozen_parts_do_not_learn_and_the_others_do():
    network = lite0(frozen=5)
    learnt = {name for name, p in network.named_parameters() if p.requires_grad}

    assert not any(name.startswith(("stem", "blocks.3.")) for name in learnt)
    assert any(name.startswith("blocks.4.") for name in learnt)


def test_a_team_brings_weights_of_its_own(tmp_path, published):
    own = {name: torch.full_like(value, 0.5) for name, value in Lite0().state_dict().items()}
    torch.save(own, tmp_path / "own.pth")
    torch.save(published, tmp_path / "again.pth")

    assert float(lite0(str(tmp_path / "own.pth")).stem.conv.weight.mean()) == 0.5
    expected = folded(published)["stem.conv.weight"]
    assert torch.equal(lite0(str(tmp_path / "again.pth")).stem.conv.weight, expected)


def test_what_is_no_lite0_is_refused_by_name(tmp_path):
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pth")

    with pytest.raises(TrainingError, match=r"other.pth: not weights of EfficientNet-Lite0"):
        lite0(str(tmp_path / "other.pth"))
    with pytest.raises(ConfigError, match=r"extra.backbone must be 'lite0'"):
        backend("centernet").check(FitConfig("centernet", extra={"backbone": "resnet50"}))
