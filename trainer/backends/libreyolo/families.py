"""The families of detectors: sizes, licences, training defaults and output formats."""

from __future__ import annotations

from dataclasses import dataclass

STRIDE = 32  # each side of the input is a multiple of it


@dataclass(frozen=True)
class Family:
    """One family.

    sizes: of its networks, smallest first. licence: SPDX id of its published weights.
    learning_rate: libreyolo's AdamW rate for fine-tuning it, 0 when it uses another optimiser.
    clip: maximum gradient norm. module: of libreyolo, with its networks. needs: a further package
    that must be installed, and the extra that installs it. iou: NMS threshold within a class, None
    for networks without NMS. every_class: whether one location may report several classes.
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
# Families of libreyolo that are not supported, and why.
REFUSED = {
    "domedetr": "Dome-DETR cannot be exported to ONNX, so it cannot serve; use dfine",
    "yolonas": "the weights of YOLO-NAS are not for commercial use; use dfine or yolox",
}


def family_of(architecture: str) -> Family:
    """Return the family of an architecture, such as dfine of dfine_s."""
    return FAMILIES[architecture.partition("_")[0]]
