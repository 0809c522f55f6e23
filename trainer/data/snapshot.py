"""Write a dataset: a folder in COCO format, named by its fingerprint, with a manifest."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import ANNOTATIONS, Dataset, load_dataset
from trainer.data.files import file_sha256, parse_json
from trainer.data.labels import LabelMap
from trainer.errors import DatasetError

MANIFEST = "manifest.json"


def write_snapshot(
    parent: Path,
    *,
    labels: LabelMap,
    images: Sequence[AnnotatedImage],
    sources: Mapping[str, Path],
    manifest: Mapping[str, Any] | None = None,
) -> Dataset:
    """Write the dataset as parent/<fingerprint>; an existing equal one is returned.

    Missing or damaged files of an existing one are restored.

    images: frames with their objects. sources: file_name → image file, which is linked (copied if
    the file system does not support links). manifest: the caller's keys; fingerprint, labels,
    sha256 of the annotations, and a row per image with file_name, sha256, split, group and extra
    are added. Nothing is left behind if it fails. Raises DatasetError as load_dataset does.
    """
    parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".snapshot-", dir=parent))
    try:
        dataset = write_dataset(
            temporary, labels=labels, images=images, sources=sources, manifest=manifest
        )
        destination = parent / dataset.fingerprint
        temporary.chmod(0o755)
        if destination.exists():
            _mend(destination, temporary, [image.file_name for image in dataset.images])
        else:
            temporary.rename(destination)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return load_dataset(destination)


def write_dataset(
    folder: Path,
    *,
    labels: LabelMap,
    images: Sequence[AnnotatedImage],
    sources: Mapping[str, Path],
    manifest: Mapping[str, Any] | None = None,
) -> Dataset:
    """Write a dataset into the folder, which must be new or empty; see write_snapshot."""
    if folder.exists() and any(folder.iterdir()):
        raise DatasetError(folder, "", "is not empty; write the dataset into a new folder")
    (folder / "images").mkdir(parents=True)
    for image in images:
        _place(folder, image, sources)
    coco = _coco(labels, images)
    write_json(folder / ANNOTATIONS, coco)
    dataset = load_dataset(folder)
    rows = [
        {
            "file_name": image.file_name,
            "sha256": file_sha256(dataset.file(image)),
            "split": image.split,
            "group": image.group,
            "extra": dict(image.extra),
        }
        for image in dataset.images
    ]
    (folder / MANIFEST).write_text(
        json.dumps(
            {
                **(manifest or {}),
                "fingerprint": dataset.fingerprint,
                "labels": list(labels),
                "annotations_sha256": file_sha256(folder / ANNOTATIONS),
                "images": rows,
            },
            indent=1,
        ),
        encoding="utf-8",
    )
    return dataset


def _mend(old: Path, new: Path, images: Sequence[str]) -> None:
    """Replace the missing or damaged files of a dataset by those of an equal new one."""
    if old.is_symlink() or not old.is_dir():
        raise DatasetError(
            old, "", "is not a folder; move it away to have the dataset written again"
        )
    broken = [] if _described(old) else [ANNOTATIONS, MANIFEST]
    for name in (f"images/{image}" for image in images):
        held = old / name
        same = held.is_file() and (
            held.samefile(new / name) or file_sha256(held) == file_sha256(new / name)
        )
        broken += [] if same else [name]
    for name in broken:
        if (old / name).is_dir():
            raise DatasetError(old / name, "", "is a folder, expected a file; move it away")
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).replace(old / name)


def _described(folder: Path) -> bool:
    """Return whether the annotations match the manifest."""
    try:
        manifest = parse_json((folder / MANIFEST).read_bytes())
        return bool(manifest["annotations_sha256"] == file_sha256(folder / ANNOTATIONS))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def link(source: Path, target: Path) -> None:
    """Link a file (or copy it, if links are not supported), creating its folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or no support for links
        shutil.copyfile(source, target)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write values as JSON."""
    path.write_text(json.dumps(values), encoding="utf-8")


def _place(folder: Path, image: AnnotatedImage, sources: Mapping[str, Path]) -> None:
    source = sources.get(image.file_name)
    if source is None or not source.is_file():
        raise DatasetError(folder, f"image {image.file_name}", f"no file to link: {source}")
    link(source, folder / "images" / image.file_name)


def _coco(labels: LabelMap, images: Sequence[AnnotatedImage]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for image_id, image in enumerate(images, 1):
        rows += [_annotation(len(rows) + n, image_id, o) for n, o in enumerate(image.objects, 1)]
    return {
        "categories": [{"id": n, "name": name} for n, name in enumerate(labels, 1)],
        "images": [
            {
                **image.extra,
                "id": image_id,
                "file_name": image.file_name,
                "width": image.width,
                "height": image.height,
                "split": image.split,
                **({} if image.group is None else {"group": image.group}),
            }
            for image_id, image in enumerate(images, 1)
        ],
        "annotations": rows,
    }


def _annotation(row_id: int, image_id: int, item: AnnotatedObject) -> dict[str, Any]:
    x1, y1, x2, y2 = item.box
    return {
        "area": (x2 - x1) * (y2 - y1),
        **item.extra,
        "id": row_id,
        "image_id": image_id,
        "category_id": item.class_id + 1,
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "iscrowd": int(item.crowd),
        "segmentation": item.segmentation or [],
    }
