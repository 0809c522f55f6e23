"""Weights that people bring → a bundle.

A format is recognised by the content of the file, never by its name; IMPORTERS says who reads it.
ONNX and zipped bundles hold no code and are read here, after a process with limits has opened
them; their first answer is given in such a process too (see trial_run.py). A pickle is scanned and
then opened in a process of its own (see cage.py); what leaves that process is a bundle, which
holds no code.
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
    """Write the bundle of a file into the new folder destination, and see it answer once.

    Raises ModelFileError for a file that is not taken in, with the reason in plain words, and
    ConfigError or BundleError for classes or a card that do not fit it; then there is no folder.
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
        raise BundleError(destination, "no folder there yet", "one")
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
            # The folder is gone and was never theirs: the fault is the file's.
            raise BundleError(request.path, error.expected, error.found) from error
        if isinstance(error, ModelFileError) and error.path.is_relative_to(destination):
            raise ModelFileError(request.path, error.reason, error.advice) from error
        raise
    return bundle


def _check_options(request: ImportRequest, form: str) -> None:
    """Raise ConfigError for what was said of the file and would be left unread."""
    faults = []
    if request.card is not None and form != "onnx":
        faults.append(
            f"--card describes an ONNX file, and {request.path} is none (a {form}); leave it out"
        )
    if request.architecture and form not in ("pickle", "safetensors"):
        faults.append(
            f"--architecture names the network of weights alone, and {request.path} holds its"
            f" network (it is {'an ONNX file' if form == 'onnx' else 'a bundle'}); leave it out"
        )
    if faults:
        raise ConfigError(faults)
