"""The masks of boxes on one frame: made for those that are shown, and for no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.masks.interactors import interactor_bundle
from cvat_bridge.shapes.detected import Made
from serverless.store.folders import general_interactor
from serverless.store.functions import MASKED
from trainer.data.images import RGBImage
from trainer.detections import Detections, Mask
from trainer.engines.boxes_to_masks import load_segmenter, masks_of_boxes
from trainer.interactor import BoxSegmenter

# Gives the interactor, loaded when it is first asked for; None where none ships.
Segmenter = Callable[[], BoxSegmenter | None]


def segmenter_of(
    store: Path, project_key: str | None = None, *, threads: int | None = None
) -> Segmenter:
    """Return what loads the interactor for a project's masks, once, when it is first needed.

    store: of the function host. threads: of one call, None for one a core. The loading raises
    BundleError.
    """

    @cache
    def load() -> BoxSegmenter | None:
        bundle = interactor_bundle(store, project_key)
        return None if bundle is None else load_segmenter(bundle, threads=threads)

    return load


@cache
def general_segmenter() -> BoxSegmenter | None:
    """Return the interactor that ships, on one core a call; None where none does."""
    bundle = general_interactor()
    return None if bundle is None else load_segmenter(bundle, threads=1)


def wants_mask(label: Label | None, found: Detections) -> bool:
    """Return whether a detection needs a mask that the model did not give. Pure."""
    return found.masks is None and label is not None and label.type in MASKED


def make_masks(
    segmenter: BoxSegmenter, image: RGBImage, found: Detections, rows: Sequence[int]
) -> Made:
    """Return the masks of some detections of an image (H, W, 3)."""
    chosen = list(rows)
    return dict(zip(chosen, masks_of_boxes(segmenter, image, found.boxes[chosen]), strict=True))


def mask_of(found: Detections, row: int, made: Made) -> Mask | None:
    """Return the mask of a detection: the model's own, else the one made. Pure."""
    return made.get(row) if found.masks is None else found.masks[row]
