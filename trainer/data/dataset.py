"""A dataset in COCO format: the folder that a pull writes and a fit reads.

<dataset>/annotations.json: COCO; images[].split is train, val, test or holdout (train if missing),
images[].group names frames that must stay together. <dataset>/images/: files (or links) named by
images[].file_name. <dataset>/manifest.json: the origin of every frame.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from trainer.data.annotations import SPLITS, AnnotatedImage
from trainer.data.coco import read_coco
from trainer.data.files import file_sha256
from trainer.data.images import RGBImage, decode
from trainer.data.labels import LabelMap
from trainer.errors import DatasetError, ImageError

ANNOTATIONS = "annotations.json"


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk, read and validated; pixels are read on demand.

    warnings: what was repaired or skipped (clipped boxes, empty boxes), a line each. origin:
    fingerprint of the dataset of which this one is a new split.
    """

    path: Path
    labels: LabelMap
    images: tuple[AnnotatedImage, ...]
    warnings: tuple[str, ...] = ()
    origin: str | None = None

    def split(self, name: str) -> tuple[AnnotatedImage, ...]:
        """Return the frames of a split (of SPLITS); may be empty."""
        if name not in SPLITS:
            raise DatasetError(self.path, "", f"no split {name!r}; known are {', '.join(SPLITS)}")
        return tuple(image for image in self.images if image.split == name)

    def file(self, image: AnnotatedImage) -> Path:
        """Return the path of the frame's image file."""
        inside = self.path / "images" / image.file_name
        return inside if inside.exists() else self.path / image.file_name

    def read(self, image: AnnotatedImage) -> RGBImage:
        """Read the frame's pixels, (height, width, 3); DatasetError when the size differs.

        A file whose EXIF orientation contradicts the annotated size is read as stored, since tools
        that ignore the orientation annotate it that way.
        """
        path, expected = self.file(image), (image.height, image.width, 3)
        try:
            data = path.read_bytes()
            pixels = decode(data)
            if pixels.shape != expected and pixels.shape[:2] == (image.width, image.height):
                pixels = decode(data, upright=False)
        except (OSError, ImageError) as error:
            raise DatasetError(self.path, f"image {image.file_name}", str(error)) from error
        if pixels.shape != expected:
            raise DatasetError(
                self.path,
                f"image {image.file_name}",
                f"the file is {pixels.shape[1]} x {pixels.shape[0]} pixels, "
                f"annotated as {image.width} x {image.height}; annotate this file or replace it",
            )
        return pixels

    @functools.cached_property
    def fingerprint(self) -> str:
        """Return the hash of the content in hex: image files, labels, objects, splits and groups.

        Independent of the order and names of files and of the order of objects, so a dataset that
        is pulled again has the same fingerprint.
        """
        if self.origin is not None:
            return self.origin
        rows = sorted(_image_hash(self.file(image), image, self.labels) for image in self.images)
        return hashlib.sha256(json.dumps([list(self.labels), rows]).encode()).hexdigest()


def load_dataset(folder: Path) -> Dataset:
    """Read a dataset in COCO format and validate all of it except the pixels.

    Raises DatasetError (file, row, reason) that lists all faults.
    """
    labels, images, warnings = read_coco(folder / ANNOTATIONS)
    dataset = Dataset(folder, labels, images, warnings)
    absent = [i.file_name for i in images if not dataset.file(i).is_file()]
    if absent:
        raise DatasetError(
            folder / ANNOTATIONS,
            f"image {absent[0]}",
            f"there is no such file under {folder / 'images'}"
            + (f"; {len(absent) - 1} more are missing" if len(absent) > 1 else ""),
        )
    return dataset


def _image_hash(path: Path, image: AnnotatedImage, labels: LabelMap) -> str:
    objects = sorted(
        json.dumps(
            [labels.names[o.class_id], [round(v, 3) for v in o.box], o.segmentation, o.crowd],
            sort_keys=True,
        )
        for o in image.objects
    )
    content = [file_sha256(path), image.split, image.group, objects]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
