"""Weights that people bring → a bundle.

A format is recognised by the content of the file, never by its name; IMPORTERS says who reads it.
ONNX and zipped bundles hold no code and are read here, after a process with limits has opened
them; their first answer is given in such a process too (see sample.py). A pickle is scanned and
then opened in a process of its own (see cage.py); what leaves that process is a bundle, which
holds no code.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np

from trainer.bundles.bundle import Bundle
from trainer.detector import Detector
from trainer.engines import load
from trainer.engines.generic_onnx import GenericDetector
from trainer.engines.yolo import YoloDetector
from trainer.errors import BundleError, ConfigError, ModelFileError
from trainer.importing import sample
from trainer.importing.look import look, samples
from trainer.importing.recognise import recognise
from trainer.importing.request import Request as Request

IMPORTERS: dict[str, str] = {
    "bundle": "trainer.importing.bundles:from_folder",
    "zip": "trainer.importing.bundles:from_zip",
    "onnx": "trainer.importing.onnx_file:from_onnx",
    "pickle": "trainer.importing.apart:from_pickle",
    "safetensors": "trainer.importing.apart:from_tensors",
}


def import_model(request: Request, destination: Path) -> Bundle:
    """Write the bundle of a file into the new folder destination, and see it answer once.

    Raises ModelFileError for a file that is not taken in, with the reason in plain words, and
    ConfigError or BundleError for classes or a card that do not fit it; then there is no folder.
    """
    form = recognise(request.path)
    _check_said(request, form)
    request.check_sha256()
    module, _, attribute = IMPORTERS[form].partition(":")
    importer = cast(
        "Callable[[Request, Path], Bundle]", getattr(importlib.import_module(module), attribute)
    )
    if destination.exists():
        raise BundleError(destination, "no folder there yet", "one")
    if form == "onnx":
        sample.opened(request.path, hidden=request.hidden)
    try:
        bundle = importer(request, destination)
        if bundle.card.task != "interactor":
            sample.answered(bundle.path, hidden=request.hidden)
            detector = try_out(bundle)
            if form == "onnx":
                look(bundle, detector, samples(bundle.card.input_size, request.sample))
    except BaseException as error:
        shutil.rmtree(destination, ignore_errors=True)
        if isinstance(error, BundleError) and error.path.is_relative_to(destination):
            # The folder is gone and was never theirs: the fault is the file's.
            raise BundleError(request.path, error.expected, error.found) from error
        if isinstance(error, ModelFileError) and error.path.is_relative_to(destination):
            raise ModelFileError(request.path, error.reason, error.advice) from error
        raise
    return bundle


def _check_said(request: Request, form: str) -> None:
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


def try_out(bundle: Bundle) -> Detector:
    """Let a detector answer one frame of noise, and return it.

    Raises BundleError when it cannot be loaded or its answer makes no sense.
    """
    noise = np.random.default_rng(0).integers(0, 255, (*bundle.card.input_size, 3))
    detector = load(bundle, threads=1)
    try:
        (found,) = detector.detect([noise.astype(np.uint8)], min_score=0.0)
    except (ValueError, IndexError) as error:
        if isinstance(detector, GenericDetector | YoloDetector):
            look(bundle, detector, samples(bundle.card.input_size))
        raise BundleError(bundle.path, "an answer that makes sense", str(error)) from error
    ids = {int(n) for n in found.class_ids}
    if strange := sorted(n for n in ids if not 0 <= n < len(bundle.card.labels)):
        there = f"class ids below {len(bundle.card.labels)}"
        raise BundleError(bundle.path, there, ", ".join(map(str, strange[:5])))
    return detector
