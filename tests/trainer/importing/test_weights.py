"""torchvision's weights alone, in safetensors and in torch's own form, with their network named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.trainer.agreement import Agreement, saw
from tests.trainer.random_networks import detector, torchvision_saw
from trainer.backends.torchvision_detection.importing import convert, read_tensors
from trainer.engines import load
from trainer.errors import ConfigError, ModelFileError
from trainer.importing import ImportRequest, import_model, sandboxed_process
from trainer.importing.recognise import recognise

NAME = "fasterrcnn_mobilenet_v3_small_fpn"
SIZE = (320, 448)
LABELS = ("cat", "dog")
TRUSTED = not sandboxed_process.sandbox_available()


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    return detector(NAME, LABELS, SIZE)


@pytest.fixture(scope="module")
def safe(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "ours.safetensors"
    save_file(network.state_dict(), path)
    return path


def test_safetensors_answer_as_torchvision_does(
    network: torch.nn.Module, safe: Path, tmp_path: Path
) -> None:
    request = ImportRequest(safe, "ours", labels=LABELS, architecture=NAME)
    bundle = import_model(request, tmp_path / "out")
    image = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), np.uint8)

    (found,) = load(bundle, threads=1).detect([image], min_score=0.05)
    agreed = Agreement()
    peer = torchvision_saw(network, image, LABELS)
    agreed.add(saw(found, LABELS, image.shape[:2]), peer, pixels=0.05, score=1e-4)

    assert bundle.card.labels.names == LABELS
    assert agreed.paired > 10
    assert agreed.share > 0.97, agreed


@pytest.mark.parametrize("wrapped", ["", "model", "state_dict"])
def test_a_checkpoint_of_torch_with_weights_within_is_read(
    network: torch.nn.Module, tmp_path: Path, wrapped: str
) -> None:
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({wrapped: state, "epoch": 3} if wrapped else state, tmp_path / "epoch-3.pth")
    found = read_tensors(tmp_path / "epoch-3.pth")
    assert {k: v.shape for k, v in found.items()} == {
        k: v.shape for k, v in network.state_dict().items()
    }


def test_a_checkpoint_passes_the_scan_and_the_process_apart(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    torch.save(network.state_dict(), tmp_path / "ours.pth")
    request = ImportRequest(
        tmp_path / "ours.pth", "ours", labels=("a",), architecture=NAME, trusted=TRUSTED
    )
    with pytest.raises(ModelFileError, match="has 2 classes .class 0, class 1., the list names 1"):
        import_model(request, tmp_path / "out")


@pytest.mark.parametrize(
    ("labels", "architecture", "says"),
    [
        (None, NAME, "do not name their 2 classes"),
        (LABELS, "fcos_resnet18_fpn", "not weights of fcos_resnet18_fpn"),
        (LABELS, "fasterrcnn_resnet18_fpn", "not weights of fasterrcnn_resnet18_fpn"),
    ],
)
def test_weights_that_do_not_fit_say_why(
    safe: Path, tmp_path: Path, labels: tuple[str, ...] | None, architecture: str, says: str
) -> None:
    with pytest.raises((ModelFileError, ConfigError), match=says):
        convert(safe, tmp_path / "out", name="ours", labels=labels, architecture=architecture)
    assert not (tmp_path / "out").exists()


def test_an_architecture_must_be_named_and_known(safe: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="--architecture fasterrcnn_resnet50_fpn"):
        import_model(ImportRequest(safe, "ours"), tmp_path / "out")
    with pytest.raises(ConfigError, match="unknown architecture 'resnext'; known are fasterrcnn"):
        import_model(ImportRequest(safe, "ours", architecture="resnext"), tmp_path / "out")


def test_truncated_safetensors_are_said_to_be_so(safe: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.safetensors"
    path.write_bytes(safe.read_bytes()[:100_000])
    with pytest.raises(ModelFileError, match="truncated or broken"):
        read_tensors(path)


def test_a_pickle_among_the_tensors_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "bad.pth"
    torch.save({"model": {"weight": torch.zeros(1)}, "more": Path("/")}, path)
    with pytest.raises(ModelFileError, match="more than tensors"):
        read_tensors(path)


@pytest.mark.parametrize("first", [0x08, 0x50, 0x80])  # as ONNX, a zip and a pickle begin
def test_safetensors_are_told_whatever_their_length_looks_like(tmp_path: Path, first: int) -> None:
    path = tmp_path / "weights.safetensors"
    for size in range(1, 3000):
        save_file({"a" * size: torch.zeros(1)}, path)
        if path.read_bytes()[0] == first:
            break

    assert path.read_bytes()[0] == first
    assert recognise(path) == "safetensors"
