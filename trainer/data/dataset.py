"""A dataset in COCO form: the folder that a pull writes and a fit reads.

<dataset>/annotations.json: COCO; images[].split is train, val, test or holdout (train where it is
missing), images[].group names what must not be parted. <dataset>/images/: files (or links) named
by images[].file_name. <dataset>/manifest.json: where every frame came from.
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
    """A dataset on disk, read and checked; pixels are read when asked for.

    warnings: what was repaired or left out (boxes clipped, boxes of no area), a line each.
    origin: fingerprint of the dataset whose parts were only divided anew to make this one.
    """

    path: Path
    labels: LabelMap
    images: tuple[AnnotatedImage, ...]
    warnings: tuple[str, ...] = ()
    origin: str | None = None

    def split(self, name: str) -> tuple[AnnotatedImage, ...]:
        """Return the frames of a part (of SPLITS); there may be none."""
        if name not in SPLITS:
            raise DatasetError(self.path, "", f"no split {name!r}; there are {', '.join(SPLITS)}")
        return tuple(image for image in self.images if image.split == name)

    def file(self, image: AnnotatedImage) -> Path:
        """Return the path of the frame's image file."""
        inside = self.path / "images" / image.file_name
        return inside if inside.exists() else self.path / image.file_name

    def read(self, image: AnnotatedImage) -> RGBImage:
        """Read the frame's pixels, (height, width, 3); DatasetError when they are not as annotated.

        A file whose EXIF orientation turns it away from the annotated size is taken as stored,
        since tools that ignore the orientation annotate it so.
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
        """Hash of the content in hex: pixels' files, labels, objects, splits and groups.

        Independent of the order and the names of files and of the order of objects, so a
        dataset pulled again is known again.
        """
        if self.origin is not None:
            return self.origin
        rows = sorted(_image_hash(self.file(image), image, self.labels) for image in self.images)
        return hashlib.sha256(json.dumps([list(self.labels), rows]).encode()).hexdigest()


def load_dataset(folder: Path) -> Dataset:
    """Read a dataset in COCO form and check all of it but the pixels.

    Raises DatasetError (file, row, reason); with several faults it tells them all.
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
