"""The families of detectors: sizes, licences, how they are taught and how they are read."""

from __future__ import annotations

from dataclasses import dataclass

STRIDE = 32  # a multiple of which each side of the input is


@dataclass(frozen=True)
class Family:
    """One family.

    sizes: of its networks, smallest first. licence: SPDX id of its published weights.
    learning_rate: with which libreyolo fine-tunes it by AdamW, 0 where it uses another optimiser.
    clip: of the gradient's norm. module: of libreyolo, that holds its networks. needs: what must
    be installed beside libreyolo, and the extra that brings it. iou: above which two boxes of a
    class are one object, None for networks that answer each object once. every_class: whether a
    place may be told of several classes.
    """

    sizes: tuple[str, ...]
    licence: str
    learning_rate: float
    clip: float
    module: str
    needs: tuple[str, str] | None = None
    iou: float | None = None
    every_class: bool = True


FAMILIES: dict[str, Family] = {
    "yolox": Family(
        ("n", "t", "s", "m", "l", "x"),
        "Apache-2.0",
        0.0,
        10.0,
        "yolox",
        iou=0.65,
        every_class=False,
    ),
    "yolo9": Family(("t", "s", "m", "c"), "MIT", 0.0, 10.0, "yolo9", iou=0.65),
    "dfine": Family(("n", "s", "m", "l", "x"), "Apache-2.0", 2e-4, 0.1, "dfine"),
    "deim": Family(("n", "s", "m", "l", "x"), "Apache-2.0", 1e-4, 0.1, "deim"),
    "rfdetr": Family(
        ("n", "s", "m", "l"), "Apache-2.0", 1e-4, 0.1, "rfdetr", needs=("transformers", "rfdetr")
    ),
}
ARCHITECTURES = tuple(
    f"{name}_{size}" for name, family in FAMILIES.items() for size in family.sizes
)
# Families of libreyolo that people may ask for, and why they are not here.
REFUSED = {
    "domedetr": "Dome-DETR cannot be exported to ONNX, so it could not serve; use dfine",
    "yolonas": "the weights of YOLO-NAS are not for commercial use; use dfine or yolox",
}


def family_of(architecture: str) -> Family:
    """Return the family of an architecture, such as dfine of dfine_s."""
    return FAMILIES[architecture.partition("_")[0]]
