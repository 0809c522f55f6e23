"""Draw frames on which two models differ: labels, first and second model side by side."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.data.images import RGBImage
from trainer.detections import Detections
from trainer.evaluation.compare import ComparedModel, FrameGap

_WIDTH = 360  # pixels of a column
_LINE = 22
_PAPER, _INK = (255, 255, 255), (20, 20, 20)
_Mark = tuple[
    NDArray[np.float64], list[NDArray[np.float64]], int, str
]  # box, outlines, class, text


def write_sheet(
    path: Path,
    dataset: Dataset,
    split: str,
    first: ComparedModel,
    second: ComparedModel,
    rows: Sequence[FrameGap],
) -> Path:
    """Draw the frames of rows, one per line, and write the picture (PNG).

    Detections below the card's min_score, which people would not see, are not drawn. Raises
    DatasetError for an image that cannot be read and OSError when the file cannot be written.
    """
    images = {image.file_name: (n, image) for n, image in enumerate(dataset.split(split))}
    lines = [_header(["labels", f"A  {_short(first.path)}", f"B  {_short(second.path)}"])]
    for row in rows:
        place, image = images[row.file_name]
        pixels = dataset.read(image)
        tiles = [
            _tile(pixels, _truth(dataset, image)),
            _tile(pixels, _predictions(dataset, first, place)),
            _tile(pixels, _predictions(dataset, second, place)),
        ]
        heads = [row.file_name, f"A  F1 {row.first:.2f}", f"B  F1 {row.second:.2f}"]
        lines += [_header(heads), np.concatenate(tiles, axis=1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(lines)).save(path, format="PNG")
    return path


def _truth(dataset: Dataset, image: AnnotatedImage) -> list[_Mark]:
    return [
        (
            np.array(item.box, np.float64),
            []
            if item.segmentation is None
            else _outlines(item.bitmap(image.height, image.width), 0, 0),
            item.class_id,
            dataset.labels.names[item.class_id],
        )
        for item in image.objects
    ]


def _predictions(dataset: Dataset, side: ComparedModel, place: int) -> list[_Mark]:
    detections: Detections = side.predictions[place]
    marks: list[_Mark] = []
    ids = {name: n for n, name in enumerate(dataset.labels)}
    for n in range(len(detections)):
        name = side.names[int(detections.class_ids[n])]
        if name not in ids or detections.scores[n] < side.shown[ids[name]]:
            continue
        mask = None if detections.masks is None else detections.masks[n]
        outlines = [] if mask is None else _outlines(mask.bitmap, mask.left, mask.top)
        box = detections.boxes[n].astype(np.float64)
        marks.append((box, outlines, ids[name], f"{name} {detections.scores[n]:.2f}"))
    return marks


def _outlines(bitmap: NDArray[np.bool_], left: int, top: int) -> list[NDArray[np.float64]]:
    found, _ = cv2.findContours(bitmap.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    corner = np.array([left, top], np.float64)
    return [c.reshape(-1, 2).astype(np.float64) + corner for c in found if len(c) > 1]


def _tile(pixels: RGBImage, marks: Sequence[_Mark]) -> RGBImage:
    height, width = pixels.shape[:2]
    scale = _WIDTH / width
    shape = (_WIDTH, max(1, round(height * scale)))
    small = cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA)
    picture = Image.fromarray(small)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(11)
    for box, outlines, class_id, text in marks:
        colour = _colour(class_id)
        x1, y1, x2, y2 = (float(v) for v in box * scale)
        if not outlines:
            draw.rectangle((x1, y1, max(x2, x1), max(y2, y1)), outline=colour, width=2)
        for line in outlines:
            points = [(float(x), float(y)) for x, y in line * scale]
            draw.line([*points, points[0]], fill=colour, width=2)
        # Text only where it does not hide the frame: crowded frames have colours only.
        if len(marks) <= 15:
            draw.text((x1 + 3, max(y1 - 13, 0)), text, fill=colour, font=font, stroke_width=2)
            draw.text(
                (x1 + 3, max(y1 - 13, 0)),
                text,
                fill=_PAPER,
                font=font,
                stroke_fill=colour,
                stroke_width=1,
            )
    return np.asarray(picture, np.uint8)


def _short(path: Path) -> str:
    return "/".join(path.parts[-2:])


def _header(texts: Sequence[str]) -> RGBImage:
    picture = Image.new("RGB", (_WIDTH * len(texts), _LINE), _PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(13)
    for n, text in enumerate(texts):
        shown = text
        while draw.textlength(shown, font=font) > _WIDTH - 8:
            shown = f"{shown[:-2]}…"
        draw.text((_WIDTH * n + 4, 3), shown, fill=_INK, font=font)
    return np.asarray(picture, np.uint8)


def _colour(class_id: int) -> tuple[int, int, int]:
    """Return a colour for the class; the golden ratio keeps consecutive ids distinct."""
    red, green, blue = colorsys.hsv_to_rgb(0.02 + class_id * 0.618034 % 1.0, 0.9, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)
