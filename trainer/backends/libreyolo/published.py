"""The published COCO weights by architecture, each with its pinned sha256.

deploy/weights.lock lists the same for those who download files by hand. A file without a known
sha256 is loaded only with one that the team states itself (extra.weights_sha256).
"""

from __future__ import annotations

from dataclasses import dataclass

_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"
_YOLO9 = "https://github.com/MultimediaTechLab/YOLO/releases/download/v1.0-alpha"
_DFINE = "https://github.com/Peterande/storage/releases/download/dfinev1.0"
_DEIM = "https://huggingface.co/LibreYOLO"
_RFDETR = "https://storage.googleapis.com/rfdetr"


@dataclass(frozen=True)
class PublishedFile:
    """One file. name: in torch's cache. sha256: "" if unknown."""

    url: str
    name: str
    sha256: str = ""


def _named(base: str, name: str, sha256: str = "") -> PublishedFile:
    return PublishedFile(f"{base}/{name}", name, sha256)


PUBLISHED: dict[str, PublishedFile] = {
    "yolox_n": _named(
        _YOLOX,
        "yolox_nano.pth",
        "cd28f55fbbc1829f99d9ac9b38a16d259a22889739c8728ea877610201feff7b",
    ),
    "yolox_t": _named(
        _YOLOX,
        "yolox_tiny.pth",
        "9de513de589ac98bb92d3bca53b5af7b9acfa9b0bacb831f7999d0f7afaee8f0",
    ),
    "yolox_s": _named(
        _YOLOX,
        "yolox_s.pth",
        "f55ded7181e1b0c13285c56e7790b8f0e8f8db590fe4edb37f0b7f345c913a30",
    ),
    "yolox_m": _named(
        _YOLOX,
        "yolox_m.pth",
        "60076992b32da82951c90cfa7bd6ab70eba9eda243e08b940a396f60ac2d19b6",
    ),
    "yolox_l": _named(
        _YOLOX,
        "yolox_l.pth",
        "1e6b7fa6240375370b2a8a8eab9066b3cdd43fd1d0bfa8d2027fd3a51def2917",
    ),
    "yolox_x": _named(
        _YOLOX,
        "yolox_x.pth",
        "5652330b6ae860043f091b8f550a60c10e1129f416edfdb65c259be6caf355cf",
    ),
    **{f"yolo9_{size}": _named(_YOLO9, f"v9-{size}.pt") for size in "tsmc"},
    "dfine_n": _named(
        _DFINE,
        "dfine_n_coco.pth",
        "41973938d2784d38a9836990d805b8392855ebf611aba55f0f7add90e110744c",
    ),
    "dfine_s": _named(
        _DFINE,
        "dfine_s_coco.pth",
        "48a6c8cc43eb57186843f752e2e8461ddd3326e0d3c575e71e6e960844683e89",
    ),
    "dfine_m": _named(
        _DFINE,
        "dfine_m_coco.pth",
        "b44a7586bf490858c7b8bce9e44bd025cb88724df9a07a8deb3ae1c12e608195",
    ),
    **{f"dfine_{size}": _named(_DFINE, f"dfine_{size}_coco.pth") for size in "lx"},
    # Its authors publish only on Google Drive; libreyolo's mirror has the same tensors.
    **{
        f"deim_{size}": _named(f"{_DEIM}/LibreDEIM{size}/resolve/main", f"LibreDEIM{size}.pt")
        for size in "nsmlx"
    },
    "rfdetr_n": PublishedFile(
        f"{_RFDETR}/nano_coco/checkpoint_best_regular.pth",
        "rf-detr-nano.pth",
        "d8d6b9ee57d4d0ed2b1f305163624712a0532cb7bce0c747317984fc5457440d",
    ),
    "rfdetr_s": PublishedFile(
        f"{_RFDETR}/small_coco/checkpoint_best_regular.pth",
        "rf-detr-small.pth",
        "d81979a9213a2109345158ce9232668df4c1ae52e9b8db3f2ec0a8cbad959b33",
    ),
    "rfdetr_m": PublishedFile(
        f"{_RFDETR}/medium_coco/checkpoint_best_regular.pth",
        "rf-detr-medium.pth",
        "749ff6071828aaffac63e204c4f4135ed3d6cdae4d702e086c360edc3b5768c8",
    ),
    "rfdetr_l": _named(_RFDETR, "rf-detr-large-2026.pth"),
}
