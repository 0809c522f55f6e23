"""The origin of a model: data and jobs, base weights, settings and code."""

from __future__ import annotations

import functools
import json
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from trainer.bundles.bundle import CARD, Bundle, read_bundle, with_card
from trainer.data.annotations import SPLITS
from trainer.data.dataset import Dataset
from trainer.data.files import file_sha256, parse_json
from trainer.detector import FitConfig
from trainer.errors import BundleError, DatasetError

_PACKAGE = "cvat-active-learning"
_LIBRARIES = ("torch", "torchvision", "ultralytics", "onnxruntime", "numpy")


def provenance_of(dataset: Dataset, config: FitConfig) -> dict[str, Any]:
    """Return the origin of a fit for the card, as JSON values.

    dataset, frames: fingerprint and frames per split. source: from the snapshot's manifest:
    project, jobs (with their dates in CVAT), strategy. base: name, version and sha256 of the
    initial weights, None from scratch. settings, code, libraries: of the fit. Raises DatasetError
    for a manifest that cannot be read.
    """
    return {
        "dataset": dataset.fingerprint,
        "frames": {part: len(dataset.split(part)) for part in SPLITS},
        "source": source_of(dataset),
        "base": None if config.base is None else base_of(config.base),
        "settings": json.loads(json.dumps(config.to_json(), default=str)),
        "code": code(),
        "libraries": {"python": platform.python_version(), **_libraries()},
    }


def source_of(dataset: Dataset) -> dict[str, Any]:
    """Return the manifest of a snapshot without its frames; empty if there is none."""
    path = dataset.path / "manifest.json"
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DatasetError(path, "", f"is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise DatasetError(path, "", f"must be a JSON object, found {type(values).__name__}")
    left_out = ("images", "labels", "fingerprint", "skipped", "annotations_sha256")
    return {k: v for k, v in values.items() if k not in left_out}


def base_of(base: Path) -> dict[str, Any]:
    """Identify base weights: a bundle by its version and files, a file by its hash."""
    if (base / CARD).exists():
        found = read_bundle(base)
        return {"name": found.card.name, "version": found.version, "sha256": dict(found.card.files)}
    if base.is_file():
        return {"name": base.name, "version": None, "sha256": {base.name: file_sha256(base)}}
    raise BundleError(base, "a bundle or a weights file", "neither")


def with_provenance(bundle: Bundle, values: Mapping[str, Any]) -> Bundle:
    """Add the model's origin to the card on disk; the version stays."""
    return with_card(bundle, provenance={**bundle.card.provenance, **values})


def installed_version() -> str:
    """Return the version of this package, "unknown" if it is not installed."""
    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        return "unknown"


@functools.cache
def code() -> Mapping[str, Any]:
    """Return the version of this package and, in a checkout, its commit and whether it is clean."""
    version = installed_version()
    root = Path(__file__).parents[2]
    commit = _git(root, "rev-parse", "HEAD") if (root / ".git").exists() else None
    changed = None if commit is None else bool(_git(root, "status", "--porcelain", "-uno"))
    return {"package": _PACKAGE, "version": version, "commit": commit, "changed": changed}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:  # no git installed: the version must suffice
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _libraries() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
