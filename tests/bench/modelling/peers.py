"""Each engine's network as a bundle, beside the library that it comes from.

A case brings weights into a bundle as a team does (`models add` of the file, or a fit), and keeps
what the library says of an image by itself: its own scaling, network, suppression and masks.
Networks have random weights that tell places apart, or, of centernet, a minute's learning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.nn import functional
from torchvision.ops import box_iou
from torchvision.transforms._presets import SemanticSegmentation

from tests.trainer.agreement import Seen
from tests.trainer.random_networks import (
    detector,
    segmenter,
    torchvision_saw,
    ultralytics_network,
)
from trainer.backends.centernet.checkpoint import build, read_checkpoint
from trainer.backends.centernet.network import decode_boxes
from trainer.backends.semantic.export import export_network as export_segmenter
from trainer.backends.torchvision_detection.export import export_network
from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.detector import FitConfig
from trainer.engines.centernet import ANY_CLASS_IOU, MOST, SAME_CLASS_IOU
from trainer.engines.yolo import letterbox
from trainer.importing import ImportRequest, import_model, sandboxed_process
from trainer.runs.run import run_fit

SIDE = 320  # of YOLO's input
SMALL = (320, 448)  # what torchvision's small networks are imported with
FEW = 4  # images that the random networks are made to tell places apart on
Labels = tuple[str, ...]


@dataclass(frozen=True)
class Tolerance:
    """How far two answers of one object may lie apart: pixels of a box, of 1, IoU at least."""

    pixels: float
    score: float
    iou: float = 0.0


@dataclass(frozen=True)
class Case:
    """A bundle and its peer. says: objects, or the class of every pixel (0 is the background).

    min_score: of the call, 0 where it names none. about: the network, for people.
    """

    bundle: Bundle
    library: str
    says: Callable[[RGBImage], Seen | NDArray[np.int64]]
    min_score: float
    about: str
    tolerance: Tolerance = Tolerance(0.0, 0.0)


def yolo(folder: Path, data: Path, labels: Labels, images: list[RGBImage]) -> Case:
    """ultralytics' boxes."""
    return _yolo(folder, labels, images, "yolo11n", Tolerance(0.5, 1e-3))


def yolo_masks(folder: Path, data: Path, labels: Labels, images: list[RGBImage]) -> Case:
    """ultralytics' masks."""
    return _yolo(folder, labels, images, "yolo11n-seg", Tolerance(np.inf, 1e-3, 0.9))


def _yolo(
    folder: Path, labels: Labels, images: list[RGBImage], name: str, tolerance: Tolerance
) -> Case:
    task = "segment" if name.endswith("-seg") else "detect"
    weights = folder / f"{name}.pt"
    # Ragged masks are slow to outline: small ones, and a few in each image.
    side, above, told = SIDE, 0.005, _few(images)
    if task == "segment":
        side, above, told = SIDE // 2, 0.003, images[::2]
    few = _tensor([letterbox(image, (side, side))[0] for image in told]) / 255
    made = ultralytics_network(name, labels, (side, side), images=few, above=above)
    torch.save({"model": made, "train_args": {"imgsz": side, "task": task}}, weights)
    bundle = import_model(
        ImportRequest(weights, name, trusted=not sandboxed_process.sandbox_available()),
        folder / "bundle",
    )
    from ultralytics import YOLO

    peer, least = YOLO(str(weights)), 0.25

    def says(image: RGBImage) -> Seen:
        (found,) = peer.predict(
            image[..., ::-1].copy(),
            imgsz=side,
            conf=least,
            iou=0.7,
            rect=False,
            retina_masks=True,
            verbose=False,
        )
        boxes = found.boxes.xyxy.double().numpy()
        keep = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        masks = None
        if found.masks is not None:
            drawn = found.masks.data.numpy() > 0
            keep &= drawn.any(axis=(1, 2))
            masks = [*drawn[keep]]
        elif task == "segment":
            masks = []
        classes = found.boxes.cls.int().tolist()
        return Seen(
            boxes[keep],
            found.boxes.conf.double().numpy()[keep],
            [labels[classes[n]] for n in np.flatnonzero(keep)],
            masks,
        )

    about = f"{name}.pt of random weights, {side} x {side}, rect=False"
    return Case(bundle, "ultralytics", says, least, about, tolerance)


def torchvision_boxes(
    architecture: str,
) -> Callable[[Path, Path, Labels, list[RGBImage]], Case]:
    """torchvision's detectors of boxes."""

    def make(folder: Path, data: Path, labels: Labels, images: list[RGBImage]) -> Case:
        return _torchvision(folder, labels, images, architecture, Tolerance(0.5, 1e-3))

    return make


def mask_rcnn(folder: Path, data: Path, labels: Labels, images: list[RGBImage]) -> Case:
    """torchvision's Mask R-CNN."""
    architecture = "maskrcnn_mobilenet_v3_small_fpn"
    return _torchvision(folder, labels, images, architecture, Tolerance(np.inf, 1e-3, 0.9))


def _torchvision(
    folder: Path, labels: Labels, images: list[RGBImage], architecture: str, tolerance: Tolerance
) -> Case:
    few, masked = _tensor(_few(images)) / 255, architecture.startswith("maskrcnn")
    network: Any = detector(architecture, labels, SMALL, brief=masked, images=few)
    if masked:  # twelve objects an image, since masks are slow to outline; weights do not tell that
        card = {"name": architecture, "labels": labels, "extra": {"scaling": "linear"}}
        bundle = export_network(network, SMALL, folder / "bundle", files={}, card=card)
    else:
        weights = folder / f"{architecture}.safetensors"
        save_file(network.state_dict(), weights)
        request = ImportRequest(weights, architecture, labels=labels, architecture=architecture)
        bundle = import_model(request, folder / "bundle")
    parts = network.roi_heads if hasattr(network, "roi_heads") else network
    about = f"{architecture} of random weights, {SMALL[0]} x {SMALL[1]}"

    def says(image: RGBImage) -> Seen:
        found = torchvision_saw(network, image, labels)
        if found.bitmaps is None:
            return found
        keep = [n for n, bitmap in enumerate(found.bitmaps) if bitmap.any()]
        return Seen(
            found.boxes[keep],
            found.scores[keep],
            [found.names[n] for n in keep],
            [found.bitmaps[n] for n in keep],
        )

    return Case(bundle, "torchvision", says, float(parts.score_thresh), about, tolerance)


def semantic(
    architecture: str,
) -> Callable[[Path, Path, Labels, list[RGBImage]], Case]:
    """torchvision's segmentation in the images' own size.

    Its weights are imported for a shorter side of 520; a network of random weights tells images
    apart by their last bit, so that another rounding of the scaled pixels would be all that is
    measured.
    """

    def make(folder: Path, data: Path, labels: Labels, images: list[RGBImage]) -> Case:
        size = (images[0].shape[0], images[0].shape[1])
        network = segmenter(architecture, len(labels), _tensor(_few(images)[:2]), foreground=0.05)
        card = {"name": architecture, "labels": labels}
        bundle = export_segmenter(network, size, folder / "bundle", files={}, card=card)
        scaled = SemanticSegmentation(resize_size=min(size))

        def says(image: RGBImage) -> NDArray[np.int64]:
            pixels = scaled(torch.from_numpy(image.copy()).permute(2, 0, 1))[None]
            with torch.inference_mode():
                large = functional.interpolate(network(pixels)["out"], image.shape[:2])
            return np.asarray(large[0].argmax(0).numpy(), np.int64)

        about = f"{architecture} of random weights, {size[0]} x {size[1]}"
        return Case(bundle, "torchvision", says, 0.0, about)

    return make


def _few(images: list[RGBImage]) -> list[RGBImage]:
    """Return some of the images, far from each other in the list."""
    return images[:: max(1, len(images) // FEW)][:FEW]


def _tensor(images: list[RGBImage]) -> torch.Tensor:
    """Return images as (B, 3, H, W) of 0..255, all in the size of the first."""
    height, width = images[0].shape[:2]
    alike = np.stack([cv2.resize(image, (width, height)) for image in images])
    return torch.from_numpy(alike).permute(0, 3, 1, 2).float()


def centernet(folder: Path, data: Path, labels: Labels, images: list[RGBImage]) -> Case:
    """Our own network in torch, with torch's pooling in the place of ours."""
    size, steps, least = (120, 160), 100, 0.1
    config = FitConfig(
        "centernet",
        batch_size=8,
        learning_rate=4e-3,
        image_size=size,
        seed=1,
        evaluation_period=0,
        extra={"steps": steps, "width": 16},
    )
    bundle = run_fit(data, config, folder / "fit", split="none", report=lambda _: None).bundle
    network = build(*read_checkpoint(bundle.path))

    def says(image: RGBImage) -> Seen:
        height, width = image.shape[:2]
        scale = min(size[0] / height, size[1] / width)
        inner = round(height * scale), round(width * scale)
        pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()
        small = functional.interpolate(pixels, inner, mode="area").round()
        small = functional.pad(small, (0, size[1] - inner[1], 0, size[0] - inner[0]), value=118)
        with torch.inference_mode():
            out = network(small)
            heat = torch.sigmoid(out.heat)
            peaks = functional.max_pool2d(heat, 3, 1, 1) == heat
            boxes = decode_boxes(out.sizes, out.offsets)[0].flatten(1).T / scale
        scores, classes = heat[0].flatten(1), peaks[0].flatten(1)
        pairs = torch.nonzero(classes & (scores >= least))
        pairs = pairs[scores[pairs[:, 0], pairs[:, 1]].argsort(descending=True, stable=True)]
        limits = torch.tensor([width, height, width, height])
        corners = torch.minimum(boxes[pairs[:, 1]].clamp(min=0), limits)
        ids, kept = pairs[:, 0], list[int]()
        overlaps = box_iou(corners, corners)
        for n in range(len(pairs)):
            limit = torch.where(ids[kept] == ids[n], SAME_CLASS_IOU, ANY_CLASS_IOU)
            if len(kept) < MOST and bool((overlaps[n, kept] <= limit).all()):
                kept.append(n)
        return Seen(
            corners[kept].double().numpy(),
            scores[pairs[kept, 0], pairs[kept, 1]].double().numpy(),
            [labels[n] for n in ids[kept].tolist()],
        )

    about = f"{steps} steps of learning on {data.name}, {size[0]} x {size[1]}"
    return Case(bundle, "torch", says, least, about, Tolerance(1.0, 1e-2))


CASES: dict[str, Callable[[Path, Path, Labels, list[RGBImage]], Case]] = {
    "yolo": yolo,
    "yolo_masks": yolo_masks,
    "centernet": centernet,
    "torchvision_detection/fasterrcnn": torchvision_boxes("fasterrcnn_mobilenet_v3_small_fpn"),
    "torchvision_detection/retinanet": torchvision_boxes("retinanet_mobilenet_v3_small_fpn"),
    "torchvision_detection/fcos": torchvision_boxes("fcos_mobilenet_v3_small_fpn"),
    "mask_rcnn": mask_rcnn,
    "semantic/deeplab": semantic("deeplabv3_mobilenet_v3_large"),
    "semantic/lraspp": semantic("lraspp_mobilenet_v3_large"),
}
