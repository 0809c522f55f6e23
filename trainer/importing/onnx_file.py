"""Import ONNX files: their own description is trusted, files without one need a card."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.bundles.bundle import CARD, Bundle, write_bundle
from trainer.data.class_list import matching_names
from trainer.engines.runtime import open_session
from trainer.errors import BundleError, ModelFileError
from trainer.importing.card import read_card
from trainer.importing.descriptions import ADVICE, read_description
from trainer.importing.external_data import locations
from trainer.importing.request import ImportRequest

MODEL = "model.onnx"


def from_onnx(request: ImportRequest, destination: Path) -> Bundle:
    """Write the bundle of an ONNX file; see trainer.importing.import_model."""
    path = request.path
    parts = _parts(path)
    try:
        session = open_session(path, threads=1)
    except BundleError as error:
        raise ModelFileError(
            path,
            f"not a runnable ONNX file, or a truncated one: {error.found.rstrip('.')}",
            "Copy or export it again",
        ) from error
    if request.card is not None:
        values = read_card(request.card, session, request.labels)
        names = matching_names(path, values.pop("labels"), request.labels)
        return _write(request, destination, names, values, parts)
    meta = session.get_modelmeta().custom_metadata_map
    description = read_description(request, meta, session)
    if description is None:
        outputs = ", ".join(f"{o.name} {o.shape}" for o in session.get_outputs())
        raise ModelFileError(
            path,
            f"an ONNX file with unknown outputs ({outputs}) and no description",
            ADVICE,
        )
    return _write(request, destination, *description, parts)


def _parts(path: Path) -> dict[str, Path]:
    """Return the external weight files of an ONNX file, by name.

    Raises ModelFileError for a missing one, or one in another folder: an untrusted file must not
    reference ours.
    """
    found: dict[str, Path] = {}
    for name in sorted(locations(path)):
        plain = re.fullmatch(r"[^/\\:\0]+", name) and name not in (".", "..", CARD, MODEL)
        if not plain:
            raise ModelFileError(
                path,
                f"its weights are in {name!r}, which is not a plain file next to it",
                "Save it again as one file, or with its weights next to it under another name",
            )
        part = path.resolve().parent / name
        if part.is_symlink() or not part.is_file():
            raise ModelFileError(
                path,
                f"its weights are in a second file, {name}, which is not next to it",
                f"Copy {name} into the same folder",
            )
        found[name] = part
    return found


def _write(
    request: ImportRequest,
    destination: Path,
    labels: tuple[str, ...],
    card: Mapping[str, Any],
    parts: Mapping[str, Path],
) -> Bundle:
    with tempfile.TemporaryDirectory(prefix="import-") as folder:
        copy = Path(folder) / MODEL
        shutil.copyfile(request.path, copy)
        request.check_sha256(copy)
        files = {MODEL: copy, **parts}
        return write_bundle(destination, files=files, name=request.name, labels=labels, **card)
