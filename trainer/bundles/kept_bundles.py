"""The folder that keeps every bundle once, under its version."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from trainer.bundles.bundle import Bundle, read_bundle
from trainer.errors import BundleError


def keep_bundle(bundle: Bundle, bundles: Path) -> Path:
    """Copy the bundle to its place, whole or not at all, and return the place.

    One that stands there stays, unless it is damaged: then it is replaced.
    """
    folder = bundles / bundle.version
    if folder.exists():
        try:
            return read_bundle(folder, version=bundle.version).path
        except BundleError:
            shutil.rmtree(folder)
    bundles.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=bundles, prefix=".part-") as scratch:
        copy = Path(scratch) / "bundle"
        shutil.copytree(bundle.path, copy)
        try:
            copy.rename(folder)
        except OSError:
            if not folder.exists():  # another process was quicker: equal content, all is well
                raise
    return folder
