"""ONNX files: those of ultralytics describe themselves, others need a card."""

from __future__ import annotations

import ast
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.bundles.bundle import Bundle, write_bundle
from trainer.data.class_list import fitting, of_mapping
from trainer.engines.runtime import open_session
from trainer.errors import BundleError, ModelFileError
from trainer.importing.card import read_card
from trainer.importing.request import Request

_TASKS = {"detect": "boxes", "segment": "masks"}
MODEL = "model.onnx"


def from_onnx(request: Request, destination: Path) -> Bundle:
    """Write the bundle of an ONNX file; see trainer.importing.import_model."""
    path = request.path
    try:
        session = open_session(path, threads=1)
    except BundleError as error:
        raise ModelFileError(
            path,
            f"not an ONNX file that can be run, or a truncated one: {error.found.rstrip('.')}",
            "Copy or export it again",
        ) from error
    meta = session.get_modelmeta().custom_metadata_map
    if request.card is not None:
        values = read_card(request.card, session)
        names = fitting(path, values.pop("labels"), request.labels)
        return _write(request, destination, names, values)
    if not {"task", "names", "imgsz"} <= set(meta):
        outputs = ", ".join(f"{o.name} {o.shape}" for o in session.get_outputs())
        raise ModelFileError(
            path,
            f"an ONNX file of unknown outputs ({outputs}), with no description by ultralytics",
            "Describe it: --card FILE.yaml with task, labels, input and outputs",
        )
    return _write(request, destination, *_described(request, meta))


def _described(request: Request, meta: Mapping[str, str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    path = request.path
    try:
        names, size = ast.literal_eval(meta["names"]), ast.literal_eval(meta["imgsz"])
        height, width = (int(n) for n in size)
    except (ValueError, SyntaxError, TypeError) as error:
        raise ModelFileError(path, f"its description cannot be read: {error}") from error
    task = _TASKS.get(meta["task"])
    if task is None:
        raise ModelFileError(
            path, f"its task is {meta['task']!r}; we serve {' and '.join(sorted(_TASKS))}"
        )
    labels = fitting(path, of_mapping(path, names), request.labels)
    return labels, {
        "engine": "yolo",
        "task": task,
        "input_size": (height, width),
        "licence": meta.get("license", ""),
        "extra": {"one_to_one": False, "described_by": f"ultralytics {meta.get('version', '')}"},
    }


def _write(
    request: Request, destination: Path, labels: tuple[str, ...], card: Mapping[str, Any]
) -> Bundle:
    with tempfile.TemporaryDirectory(prefix="import-") as folder:
        copy = Path(folder) / MODEL
        shutil.copyfile(request.path, copy)
        request.check_sha256(copy)
        return write_bundle(
            destination, files={MODEL: copy}, name=request.name, labels=labels, **card
        )
