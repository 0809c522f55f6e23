"""A dataset in COCO format → the folder of images and label files that ultralytics reads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import Dataset
from trainer.errors import DatasetError

_PLAIN = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp"}
_ORIENTATION = 0x0112


def write_layout(
    dataset: Dataset, folder: Path, *, masks: bool, on_done: Callable[[int, int], None]
) -> tuple[Path, bool]:
    """Write the layout; return its data.yaml and whether there is a val part.

    Images are linked, not copied, if ultralytics reads them as annotated: it repairs truncated
    JPEGs in place and handles rotations and deep grays differently, so those are decoded and
    rewritten. on_done: called with (images done, total). Raises DatasetError for an image that
    cannot be read, and for an object without a mask when masks are trained.
    """
    parts = {"train": dataset.split("train"), "val": dataset.split("val")}
    if not parts["train"]:
        raise DatasetError(dataset.path, "split train", "has no image to train on")
    if not any(not o.crowd for image in parts["train"] for o in image.objects):
        raise DatasetError(dataset.path, "split train", "has no object to train on")
    shutil.rmtree(folder, ignore_errors=True)
    done, total = 0, sum(map(len, parts.values()))
    for part, images in parts.items():
        (folder / "images" / part).mkdir(parents=True)
        (folder / "labels" / part).mkdir(parents=True)
        for number, image in enumerate(images):
            name = f"{number:06d}"
            _place(dataset, image, folder / "images" / part, name)
            rows = [
                row
                for item in image.objects
                if not item.crowd
                for row in _rows(dataset, image, item, masks=masks)
            ]
            (folder / "labels" / part / f"{name}.txt").write_text("".join(rows))
            done += 1
            on_done(done, total)
    # With a YAML library: YAML does not read JSON's escapes of letters beyond U+FFFF.
    values = {
        "path": str(folder.resolve()),
        "train": "images/train",
        "val": "images/val" if parts["val"] else "images/train",
        "names": dict(enumerate(dataset.labels)),
    }
    data = folder / "data.yaml"
    data.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    return data, bool(parts["val"])


def _place(dataset: Dataset, image: AnnotatedImage, folder: Path, name: str) -> None:
    source = dataset.file(image).resolve()
    suffix = _plain_suffix(source, image)
    if suffix is None:
        pixels = dataset.read(image)
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        return
    (folder / f"{name}{suffix}").symlink_to(source)


def _plain_suffix(path: Path, image: AnnotatedImage) -> str | None:
    """Return the suffix for a file that ultralytics reads as we do, or None."""
    try:
        with Image.open(path) as opened:
            plain = (
                opened.format in _PLAIN
                and opened.mode in ("RGB", "L")
                and opened.size == (image.width, image.height)
                and opened.getexif().get(_ORIENTATION, 1) == 1
            )
            suffix = _PLAIN.get(opened.format or "")
    except (OSError, UnidentifiedImageError):
        return None  # reading it properly will report what is wrong
    if not plain:
        return None
    if suffix == ".jpg":
        with path.open("rb") as file:
            file.seek(-2, os.SEEK_END)
            if file.read() != b"\xff\xd9":
                return None
    return suffix


def _rows(
    dataset: Dataset, image: AnnotatedImage, item: AnnotatedObject, *, masks: bool
) -> list[str]:
    size = np.array([image.width, image.height], np.float64)
    if not masks:
        low, high = np.array(item.box[:2]), np.array(item.box[2:])
        numbers = np.concatenate([(low + high) / 2 / size, (high - low) / size])
        return [_row(item.class_id, numbers)]
    if item.segmentation is None:
        raise DatasetError(
            dataset.path,
            f"image {image.file_name}",
            "an object has no mask; fit boxes (--task boxes) or draw masks",
        )
    outline = _outline(item.bitmap(image.height, image.width))
    return [] if outline is None else [_row(item.class_id, (outline / size).ravel())]


def _outline(bitmap: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Return one outline of all parts, (N, 2); None for a mask without area.

    A label row holds one outline, so the parts are joined by zero-width bridges, which run back
    along the same line and fill nothing.
    """
    found, _ = cv2.findContours(bitmap.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    parts = [c.reshape(-1, 2).astype(np.float64) + 0.5 for c in found if len(c) >= 3]
    if not parts:
        return None
    parts.sort(key=len, reverse=True)
    joined = parts[0]
    for part in parts[1:]:
        gaps = np.linalg.norm(joined[:, None] - part[None], axis=2)
        here, there = np.unravel_index(int(gaps.argmin()), gaps.shape)
        around = np.concatenate([part[there:], part[: there + 1]])
        joined = np.concatenate([joined[: here + 1], around, joined[here:]])
    return joined


def _row(class_id: int, numbers: NDArray[np.float64]) -> str:
    return " ".join([str(class_id), *(f"{v:.6f}" for v in np.clip(numbers, 0, 1))]) + "\n"
