"""How to decode the exports of known families: defaults for a card that names one.

The family is stated by the file's own metadata or by the card; it is never guessed from shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CENTRE, _CORNERS = ["cx", "cy", "w", "h"], ["x1", "y1", "x2", "y2"]
_PLAIN = {"mean": [0.0, 0.0, 0.0], "std": [255.0, 255.0, 255.0]}
_IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
_OBJECTNESS = {**_PLAIN, "columns": [*_CENTRE, "objectness", "classes"], "suppression": 0.45}
# Exports of their own repositories: pixels of the size in the second input.
_SIZED = {
    **_PLAIN,
    "fit": "stretch",
    "sizes": {"orig_target_sizes": "width_height"},
    "outputs": {"boxes": "boxes", "scores": "scores", "classes": "labels"},
}

FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "yolov5": _OBJECTNESS,
    "yolov6": _OBJECTNESS,
    "yolov7": _OBJECTNESS,
    "yolov7-end2end": {
        **_PLAIN,
        "columns": ["batch", *_CORNERS, "class", "score"],
    },
    "yolov8": {
        **_PLAIN,
        "columns": [*_CENTRE, "classes"],
        "transposed": True,
        "suppression": 0.7,
    },
    "yolov10": {**_PLAIN, "columns": [*_CORNERS, "score", "class"]},
    "yolox": {
        **_OBJECTNESS,
        "std": [1.0, 1.0, 1.0],
        "channels": "bgr",
        "fit": "corner",
    },
    "rt-detr-ultralytics": {
        **_PLAIN,
        "fit": "stretch",
        "columns": [*_CENTRE, "score", "class"],
        "normalised": True,
    },
    "rt-detr": _SIZED,
    "d-fine": _SIZED,
    "deim": _SIZED,
    "rt-detr-transformers": {
        **_PLAIN,
        "fit": "stretch",
        "outputs": {"boxes": "pred_boxes", "scores": "logits"},
        "box_format": "cxcywh",
        "normalised": True,
        "scores": "logits",
    },
    "rf-detr": {
        **_IMAGENET,
        "fit": "stretch",
        "outputs": {"boxes": "dets", "scores": "labels"},
        "box_format": "cxcywh",
        "normalised": True,
        "scores": "logits",
        "background": "last",
        "background_optional": True,
    },
}
