"""Rebuild a snapshot from its manifest, or export it in the formats of other tools."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.data.annotations import SPLITS, AnnotatedImage
from trainer.data.coco import read_coco
from trainer.data.dataset import ANNOTATIONS, Dataset, load_dataset
from trainer.data.files import file_sha256, parse_json
from trainer.data.snapshot import MANIFEST, link, write_dataset, write_json
from trainer.data.yolo_form import write_yolo
from trainer.errors import ConfigError, DatasetError


def rebuild(snapshot: Path, folders: Sequence[Path], out: Path) -> Dataset:
    """Rebuild a snapshot from its manifest and annotations, and any folders of images.

    snapshot: a folder with manifest.json and annotations.json; its images may be missing. folders:
    where the originals are, under any names, since the manifest identifies them by sha256 (the
    bridge's `images/`, for example). Raises DatasetError for images that cannot be found, and when
    the result differs from the manifest.
    """
    manifest = read_manifest(snapshot)
    annotations = snapshot / ANNOTATIONS
    if (stated := manifest.get("annotations_sha256")) and stated != file_sha256(annotations):
        raise DatasetError(
            annotations, "", f"sha256 is not {stated}, as the manifest says: the file has changed"
        )
    labels, images, _ = read_coco(annotations)
    expected = {str(row["file_name"]): str(row["sha256"]) for row in manifest["images"]}
    found = _by_content(folders, set(expected.values()))
    absent = [name for name, sha256 in expected.items() if sha256 not in found]
    if absent:
        raise DatasetError(
            snapshot / MANIFEST,
            f"image {absent[0]}",
            f"no file of sha256 {expected[absent[0]]} in {', '.join(map(str, folders))}"
            + (f"; {len(absent) - 1} more are missing" if len(absent) > 1 else ""),
        )
    sources = {name: found[sha256] for name, sha256 in expected.items()}
    extra = {k: v for k, v in manifest.items() if k not in ("images", "labels", "fingerprint")}
    made = write_dataset(out, labels=labels, images=images, sources=sources, manifest=extra)
    if made.fingerprint != manifest["fingerprint"]:
        shutil.rmtree(out)
        raise DatasetError(
            snapshot / MANIFEST,
            "fingerprint",
            f"expected {manifest['fingerprint']}, the rebuilt dataset is {made.fingerprint}",
        )
    return made


def read_manifest(snapshot: Path) -> Mapping[str, Any]:
    """Read a snapshot's manifest; DatasetError when it is missing or incomplete."""
    path = snapshot / MANIFEST
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DatasetError(path, "", "there is no such file; every snapshot has one") from None
    except (OSError, ValueError) as error:
        raise DatasetError(path, "", f"is not readable as JSON: {error}") from error
    lacking = [k for k in ("fingerprint", "labels", "images") if k not in values]
    rows = values.get("images", [])
    if lacking or any("sha256" not in row or "file_name" not in row for row in rows):
        raise DatasetError(
            path, "", f"lacks {', '.join(lacking) or 'file_name or sha256 of an image'}"
        )
    return dict(values)


def _by_content(folders: Sequence[Path], expected: set[str]) -> dict[str, Path]:
    """Find files by sha256; files named by their hash are checked first."""
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise DatasetError(folder, "", "there is no such folder of images")
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            if len(found) == len(expected):
                return found
            sha256 = file_sha256(path)
            if sha256 in expected:
                found.setdefault(sha256, path)
    return found


def write_coco_form(dataset: Dataset, out: Path) -> Path:
    """Write images/<part>/ and annotations/instances_<part>.json, as in the COCO datasets."""
    for part, images in _parts(dataset, out).items():
        coco = parse_json((dataset.path / ANNOTATIONS).read_text(encoding="utf-8"))
        names = {image.file_name for image in images}
        rows = [row for row in coco["images"] if row["file_name"] in names]
        kept = {row["id"] for row in rows}
        for image in images:
            link(dataset.file(image), out / "images" / part / image.file_name)
        marked = [row for row in coco["annotations"] if row["image_id"] in kept]
        values = {**coco, "images": rows, "annotations": marked}
        path = out / "annotations" / f"instances_{part}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, values)
    return out / "annotations"


def write_yolo_form(dataset: Dataset, out: Path) -> Path:
    """Write images/<part>/, labels/<part>/ and data.yaml; see trainer.data.yolo_form."""
    return write_yolo(dataset, _parts(dataset, out), out)


FORMS: Mapping[str, Callable[[Dataset, Path], Path]] = {
    "coco": write_coco_form,
    "yolo": write_yolo_form,
}


def export(snapshot: Path, out: Path, *, form: str) -> Path:
    """Write a dataset in one of FORMS into a new or empty folder; return the file for the tools.

    Raises ConfigError for an unknown format, DatasetError for a dataset that cannot be read or a
    folder that is not empty.
    """
    if form not in FORMS:
        raise ConfigError([f"form must be one of {', '.join(FORMS)}: {form!r}"])
    return FORMS[form](load_dataset(snapshot), out)


def _parts(dataset: Dataset, out: Path) -> dict[str, tuple[AnnotatedImage, ...]]:
    if out.exists() and any(out.iterdir()):
        raise DatasetError(out, "", "is not empty; export into a new folder")
    return {part: images for part in SPLITS if (images := dataset.split(part))}
