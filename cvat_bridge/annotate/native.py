"""A model behind the function protocols of cvat-sdk ("native functions" in CVAT's words)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cvat_sdk.auto_annotation as cvataa
import numpy as np
from cvat_sdk import models
from PIL import Image

from cvat_bridge.annotate.model import ChosenModel
from cvat_bridge.cvat.gateway import Label
from cvat_bridge.masks.making import (
    Segmenter,
    general_segmenter,
    make_masks,
    mask_of,
    wants_mask,
)
from cvat_bridge.shapes import rle
from cvat_bridge.shapes.detection_shapes import shapes_from_detection
from serverless.wire.answers import shown_estimate
from trainer.data.images import from_pillow
from trainer.detections import Detections, clip_mask
from trainer.detector import Detector
from trainer.errors import ImageError
from trainer.interactor import Interactor

_KEPT = (
    "type",
    "points",
    "score",
    "attributes",
    "rotation",
    "group",
)  # of a shape; the caller sets others


@dataclass(frozen=True, eq=False)
class Detection:
    """A cvat_sdk.auto_annotation.DetectionFunction. labels: by class id, the ids of the spec.

    segmenter: makes masks of boxes for labels of type mask and polygon.
    """

    model: ChosenModel
    engine: Detector
    labels: Mapping[int, Label]
    min_score: float | None
    segmenter: Segmenter = general_segmenter

    @property
    def spec(self) -> Any:
        """The labels it may answer, each of one shape type."""
        return cvataa.DetectionFunctionSpec(labels=[_spec(one) for one in self.labels.values()])

    def detect(self, context: Any, image: Image.Image) -> Sequence[Any]:
        """Answer one image; raises ImageError, with the frame's name, for a broken one."""
        asked = context.conf_threshold
        least = self.model.least(self.min_score if asked is None else asked)
        try:
            pixels = from_pillow(image)
        except ImageError as error:
            raise ImageError(f"{context.frame_name}: {error}") from error
        height, width = pixels.shape[:2]
        (found,) = self.engine.detect([pixels], min_score=min(least.values()))
        rows = [i for i in range(len(found)) if self._is_shown(found, i, least)]
        boxes = [i for i in rows if wants_mask(self.labels[int(found.class_ids[i])], found)]
        engine = self.segmenter() if boxes else None
        made = {} if engine is None else make_masks(engine, pixels, found, boxes)
        shapes: list[Any] = []
        group = 1
        for i in rows:
            label, score = self.labels[int(found.class_ids[i])], float(found.scores[i])
            if context.conv_mask_to_poly and label.type == "mask":
                label = Label(label.id, label.name, "polygon", label.attributes)
            try:
                parts = shapes_from_detection(
                    label=label,
                    frame=0,
                    box=found.boxes[i].tolist(),
                    score=score,
                    width=width,
                    height=height,
                    mask=mask_of(found, i, made),
                    group=group,
                )
            except ValueError:  # no area, or no mask
                continue
            group += len(parts) > 1
            shapes += [_shape(label.id, part) for part in parts]
        return shapes

    def _is_shown(self, found: Detections, row: int, least: Mapping[str, float]) -> bool:
        class_id = int(found.class_ids[row])
        if class_id not in self.labels:
            return False
        name = self.model.bundle.card.labels.name_of(class_id)
        return float(found.scores[row]) >= least[name]


@dataclass(frozen=True, eq=False)
class Interaction:
    """A cvat_sdk.auto_annotation.InteractionFunction: clicks in, masks with confidence out."""

    engine: Interactor

    @property
    def spec(self) -> Any:
        """What a person gives before the first call; corrections and a box are welcome."""
        return cvataa.InteractionFunctionSpec(
            min_pos_points=4, min_neg_points=0, min_bounding_boxes=0
        )

    def preprocess_image(self, _context: Any, image: Image.Image) -> bytes:
        """Encode the image without loss: the engine knows it again by its bytes."""
        content = io.BytesIO()
        Image.fromarray(from_pillow(image)).save(content, "PNG", compress_level=1)
        return content.getvalue()

    def detect(self, _context: Any, pp_image: bytes, prompts: Any) -> list[Any]:
        """Answer the clicks so far, best mask first."""
        box = prompts.bounding_box
        candidates, (height, width) = self.engine.segment(
            pp_image,
            positive=np.array(prompts.pos_points, np.float64).reshape(-1, 2),
            negative=np.array(prompts.neg_points, np.float64).reshape(-1, 2),
            box=None if box is None else np.array(box, np.float64).ravel(),
        )
        best_first = sorted(candidates, key=lambda one: -one.confidence)
        return [
            cvataa.InteractionResultShape(
                type="mask",
                points=rle.encode(inside),
                attributes=[
                    models.AttributeValRequest(
                        spec_id=int(cvataa.InteractionResultAttributes.CONFIDENCE),
                        value=f"{shown_estimate(one.confidence, place == 0):.4f}",
                    )
                ],
            )
            for place, one in enumerate(best_first)
            if (inside := clip_mask(one.mask, (height, width))) is not None
        ]


def _spec(label: Label) -> Any:
    attributes = [
        cvataa.attribute_spec(one.name, one.id, one.input_type, list(one.values))
        for one in label.attributes
    ]
    return cvataa.label_spec(label.name, label.id, type=label.type, attributes=attributes)


def _shape(label_id: int, shape: dict[str, Any]) -> Any:
    values = {key: shape[key] for key in _KEPT}
    values["points"] = [float(value) for value in values["points"]]
    values["attributes"] = [
        models.AttributeValRequest(spec_id=one["spec_id"], value=one["value"])
        for one in values["attributes"]
    ]
    return cvataa.shape(label_id, **values)
