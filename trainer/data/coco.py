"""Read a COCO file and report every fault with file, row and reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from trainer.data.annotations import SPLITS, AnnotatedImage, AnnotatedObject, decode_mask
from trainer.data.files import parse_json
from trainer.data.labels import LabelMap
from trainer.data.texts import read_text
from trainer.errors import ConfigError, DatasetError

_SHOWN = 20  # faults reported in full


class _FaultError(Exception):
    """An invalid row; collected, so that all of them are reported together."""


def read_coco(path: Path) -> tuple[LabelMap, tuple[AnnotatedImage, ...], tuple[str, ...]]:
    """Read a COCO file: labels in order of category id, images in file order, warnings.

    Raises DatasetError naming the first bad row and listing the others.
    """
    values = _json(path)
    faults: list[tuple[str, str]] = []
    warnings: list[str] = []

    def each(name: str, read: Callable[[dict[str, Any]], None]) -> None:
        rows = values.get(name)
        if not isinstance(rows, list):
            faults.append((name, f"must be a list, found {type(rows).__name__}"))
            return
        for place, row in enumerate(rows):
            try:
                read(_row(row))
            except _FaultError as fault:
                faults.append((f"{name}[{place}]", str(fault)))

    categories: dict[int, str] = {}
    images: dict[int, AnnotatedImage] = {}
    objects: dict[int, list[AnnotatedObject]] = {}
    names: set[str] = set()

    def category(row: dict[str, Any]) -> None:
        key, name = _integer(row, "id"), _text(row, "name")
        if key in categories:
            raise _FaultError(f"id {key} occurs twice")
        categories[key] = name

    def image(row: dict[str, Any]) -> None:
        key, frame = _integer(row, "id"), _image(row)
        if key in images:
            raise _FaultError(f"id {key} occurs twice")
        if frame.file_name in names:
            raise _FaultError(f"file_name {frame.file_name!r} occurs twice")
        names.add(frame.file_name)
        images[key], objects[key] = frame, []

    def annotation(row: dict[str, Any]) -> None:
        key, kind = _integer(row, "image_id"), _integer(row, "category_id")
        if key not in images:
            raise _FaultError(f"image_id {key} matches no image")
        if kind not in order:
            raise _FaultError(f"category_id {kind} matches no category")
        found = _object(row, images[key], order[kind], warnings)
        if found is not None:
            objects[key].append(found)

    each("categories", category)
    each("images", image)
    order = {key: place for place, key in enumerate(sorted(categories))}
    each("annotations", annotation)
    try:
        labels = LabelMap(tuple(categories[key] for key in sorted(categories)))
    except ConfigError as error:
        faults += [("categories", fault) for fault in error.faults]
    if faults:
        _raise(path, faults)
    return labels, tuple(_with_objects(images[k], objects[k]) for k in images), tuple(warnings)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = parse_json(read_text(path))
    except FileNotFoundError:
        raise DatasetError(
            path, "", "there is no such file; a dataset is a folder with annotations.json"
        ) from None
    except (OSError, ValueError) as error:
        raise DatasetError(path, "", f"is not readable as JSON: {error}") from error
    if not isinstance(values, dict):
        raise DatasetError(path, "", f"must be a JSON object, found {type(values).__name__}")
    return values


def _raise(path: Path, faults: list[tuple[str, str]]) -> None:
    (where, reason), others = faults[0], faults[1:]
    lines = [f"{w}: {r}" for w, r in others[: _SHOWN - 1]]
    if len(others) >= _SHOWN:
        lines.append(f"… and {len(others) - _SHOWN + 1} more")
    raise DatasetError(path, where, "\n".join([reason, *lines]))


def _row(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _FaultError(f"must be an object, found {type(value).__name__}")
    return value


def _integer(row: dict[str, Any], key: str) -> int:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _FaultError(f"{key} must be an integer, found {value!r}")
    return value


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise _FaultError(f"{key} must be a text, found {value!r}")
    return value


def _image(row: dict[str, Any]) -> AnnotatedImage:
    name = _text(row, "file_name")
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise _FaultError(f"file_name {name!r} points outside the dataset")
    width, height = _integer(row, "width"), _integer(row, "height")
    if width < 1 or height < 1:
        raise _FaultError(f"width x height must be positive, found {width} x {height}")
    split = row.get("split", "train")
    if split not in SPLITS:
        raise _FaultError(f"split must be one of {', '.join(SPLITS)}, found {split!r}")
    group = row.get("group")
    known = {"id", "file_name", "width", "height", "split", "group"}
    return AnnotatedImage(
        file_name=name,
        width=width,
        height=height,
        split=split,
        group=None if group is None else str(group),
        extra={k: v for k, v in row.items() if k not in known},
    )


def _with_objects(image: AnnotatedImage, objects: Iterable[AnnotatedObject]) -> AnnotatedImage:
    return AnnotatedImage(**{**vars(image), "objects": tuple(objects)})


def _object(
    row: dict[str, Any], image: AnnotatedImage, class_id: int, warnings: list[str]
) -> AnnotatedObject | None:
    who = f"{image.file_name}: annotation {row.get('id', '?')}"
    segmentation = _segmentation(row, image)
    box = row.get("bbox")
    if box is None and segmentation is not None:
        box = _box_of(segmentation, image)
    if not (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(v, (int, float)) and math.isfinite(v) for v in box)
    ):
        raise _FaultError(f"bbox must be four finite numbers x, y, width, height, found {box!r}")
    x, y, w, h = (float(v) for v in box)
    if w < 0 or h < 0:
        raise _FaultError(f"bbox has a negative size: {box}")
    x1, x2 = (min(max(v, 0.0), float(image.width)) for v in (x, x + w))
    y1, y2 = (min(max(v, 0.0), float(image.height)) for v in (y, y + h))
    if x2 <= x1 or y2 <= y1:
        warnings.append(f"{who}: box {box} has no area inside the image; skipped")
        return None
    if max(x1 - x, x + w - x2, y1 - y, y + h - y2) > 1:
        warnings.append(f"{who}: box {box} extends beyond the image; clipped")
    known = {"image_id", "category_id", "bbox", "segmentation", "iscrowd"}
    return AnnotatedObject(
        class_id=class_id,
        box=(x1, y1, x2, y2),
        segmentation=segmentation,
        crowd=bool(row.get("iscrowd", 0)),
        extra={k: v for k, v in row.items() if k not in known},
    )


def _segmentation(
    row: dict[str, Any], image: AnnotatedImage
) -> list[list[float]] | dict[str, Any] | None:
    value = row.get("segmentation")
    if not value:
        return None
    if isinstance(value, dict):
        if value.get("size") != [image.height, image.width]:
            raise _FaultError(
                f"segmentation.size must be [height, width] of the image "
                f"[{image.height}, {image.width}], found {value.get('size')!r}"
            )
        counts = value.get("counts")
        if isinstance(counts, list):
            if not all(isinstance(n, int) and n >= 0 for n in counts):
                raise _FaultError("segmentation.counts must be numbers of pixels")
            if sum(counts) != image.height * image.width:
                raise _FaultError(
                    f"segmentation.counts add up to {sum(counts)} pixels, "
                    f"the image has {image.height * image.width}"
                )
        elif not isinstance(counts, str):
            raise _FaultError("segmentation.counts must be a text or numbers of pixels")
        return value
    if isinstance(value, list):
        for polygon in value:
            if (
                not isinstance(polygon, list)
                or len(polygon) < 6
                or len(polygon) % 2
                or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in polygon)
            ):
                raise _FaultError(
                    "segmentation must hold polygons of three or more points x, y in pixels"
                )
        return value
    raise _FaultError(f"segmentation must be polygons or a run-length mask: {type(value).__name__}")


def _box_of(segmentation: list[list[float]] | dict[str, Any], image: AnnotatedImage) -> list[float]:
    if isinstance(segmentation, list):
        xs = [v for polygon in segmentation for v in polygon[0::2]]
        ys = [v for polygon in segmentation for v in polygon[1::2]]
        return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
    rows, columns = decode_mask(segmentation, image.height, image.width).nonzero()
    if not len(rows):
        return [0.0, 0.0, 0.0, 0.0]
    left, top = float(columns.min()), float(rows.min())
    return [left, top, float(columns.max()) + 1 - left, float(rows.max()) + 1 - top]
