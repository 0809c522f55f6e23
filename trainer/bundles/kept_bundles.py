"""The folder that stores every bundle once, under its version."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from trainer.bundles.bundle import Bundle, read_bundle
from trainer.errors import BundleError


def keep_bundle(bundle: Bundle, bundles: Path) -> Path:
    """Copy the bundle to its folder atomically, and return the folder.

    An existing copy is kept, unless it is damaged: then it is replaced.
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
            if not folder.exists():  # another process was faster: equal content, nothing to do
                raise
    return folder
