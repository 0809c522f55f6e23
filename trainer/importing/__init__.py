"""Import weights from outside → a bundle.

The format is recognised by the content of the file, never by its name; IMPORTERS maps it to a
reader. ONNX and zipped bundles contain no code and are read in this process, after a process with
resource limits has opened them; their first prediction runs in such a process too (see
trial_run.py). A pickle is scanned and then opened in a sandboxed process (see
sandboxed_process.py), which returns a bundle without code.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

from trainer.bundles.bundle import Bundle
from trainer.errors import BundleError, ConfigError, ModelFileError
from trainer.importing import trial_run
from trainer.importing.recognise import recognise
from trainer.importing.request import ImportRequest as ImportRequest

IMPORTERS: dict[str, str] = {
    "bundle": "trainer.importing.bundles:from_folder",
    "zip": "trainer.importing.bundles:from_zip",
    "onnx": "trainer.importing.onnx_file:from_onnx",
    "pickle": "trainer.importing.torch_weights:from_pickle",
    "safetensors": "trainer.importing.torch_weights:from_tensors",
}


def import_model(request: ImportRequest, destination: Path) -> Bundle:
    """Write the bundle of a file into the new folder destination, and test one prediction.

    Raises ModelFileError for a rejected file, with the reason in plain words, and ConfigError or
    BundleError for classes or a card that do not match it; then no folder is left.
    """
    form = recognise(request.path)
    _check_options(request, form)
    request.check_sha256()
    module, _, attribute = IMPORTERS[form].partition(":")
    importer = cast(
        "Callable[[ImportRequest, Path], Bundle]",
        getattr(importlib.import_module(module), attribute),
    )
    if destination.exists():
        raise BundleError(destination, "no such folder yet", "one")
    if form == "onnx":
        trial_run.check_opening(request.path, hidden=request.hidden)
    try:
        bundle = importer(request, destination)
        if bundle.card.task != "interactor":
            compare = form == "onnx"
            trial_run.check_detection(
                bundle.path, hidden=request.hidden, compare=compare, given=request.sample
            )
    except BaseException as error:
        shutil.rmtree(destination, ignore_errors=True)
        if isinstance(error, BundleError) and error.path.is_relative_to(destination):
            # The folder is removed and unknown to the user: report the file instead.
            raise BundleError(request.path, error.expected, error.found) from error
        if isinstance(error, ModelFileError) and error.path.is_relative_to(destination):
            raise ModelFileError(request.path, error.reason, error.advice) from error
        raise
    return bundle


def _check_options(request: ImportRequest, form: str) -> None:
    """Raise ConfigError for options that do not apply to the format."""
    faults = []
    if request.card is not None and form != "onnx":
        faults.append(f"--card describes an ONNX file, but {request.path} is a {form}; remove it")
    if request.architecture and form not in ("pickle", "safetensors"):
        faults.append(
            f"--architecture names the network of plain weights, but {request.path} contains its"
            f" network (it is {'an ONNX file' if form == 'onnx' else 'a bundle'}); remove it"
        )
    if faults:
        raise ConfigError(faults)
