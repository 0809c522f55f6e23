"""Export a model as a folder that `nuctl deploy` accepts as it is, without this program.

function.yaml   for CVAT and Nuclio: labels of the card, limits, pinned requirements main.py
Nuclio's entry point serverless/, trainer/   only the modules that it needs; no torch
store/<id>.json the entry, and model/ the bundle, whose sha256 is verified at each start; or
neither, if the store of the function host is mounted and watched interactor/, or
serverless/extreme_points/weights/   if boxes are shown as masks or polygons: the interactor's
bundle, of the entry or the built-in one
"""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from serverless.errors import ExportError
from serverless.export.sources import ROOT, sources
from serverless.store.describe import describe, labels_of
from serverless.store.folders import general_interactor
from serverless.store.functions import Entry, listing, publish
from trainer.bundles.bundle import CARD, Bundle, read_bundle
from trainer.engines import ENGINES, names
from trainer.extensions import ENGINES_GROUP, offered_names

_PACKAGES = (
    *("cachetools", "numpy", "onnxruntime", "opencv-python-headless", "pillow", "pyyaml"),
    "shapely",
)
_TWINS = {"opencv-python-headless": "opencv-python"}  # the same release, with and without GUI
_BODY_BYTES = 33554432  # as in CVAT's own functions; base64 adds a third
_MAIN = '''"""Nuclio's entry point for {name!r}; the work is in serverless.handler."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from serverless.handler import make_handler

if TYPE_CHECKING:
    from nuclio_sdk import Context, Event, Response

HERE = Path(__file__).resolve().parent
os.environ.setdefault("STORE", str(HERE / "store"))
os.environ.setdefault("FUNCTION_ID", {id!r})
_start, _answer = make_handler(HERE / "function.yaml")


# Nuclio looks for init_context in the module that the handler was defined in.
def init_context(context: Context) -> None:
    """Load the model once, before the worker's first event."""
    _start(context)


def handler(context: Context, event: Event) -> Response:
    """Answer one event."""
    return _answer(context, event)
'''


def write_function(entry: Entry, folder: Path, *, mounts: Sequence[Path] = ()) -> str:
    """Write the folder atomically and return the command that deploys it.

    mounts: if empty, the bundle is packed; else the store and the folder of bundles of this
    machine, which are mounted in the container under the same paths, so that a promoted version
    serves without a new image. Raises ExportError for a folder that is not empty, an engine that
    needs torch, and an entry missing from the store to watch; BundleError for a damaged bundle.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(folder, "already exists and is not an empty folder")
    bundle = read_bundle(entry.bundle, version=entry.version)
    engines = _engines(bundle, folder, every=bool(mounts))
    helper = _interactor(entry, bundle, folder, mounts)
    if helper is not None:
        engines += _engines(helper, folder, every=False)
    if mounts and entry.id not in {known.id for known in listing(mounts[0]).entries}:
        raise ExportError(
            folder, f"{entry.id!r} is not in the store {mounts[0]}: there is nothing to watch"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        made = Path(scratch) / "function"
        for path in sources("serverless.handler", *engines):
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, made / path)
        (made / "main.py").write_text(_MAIN.format(name=entry.name, id=entry.id), encoding="utf-8")
        (made / "function.yaml").write_text(_yaml(entry, bundle, mounts), encoding="utf-8")
        if not mounts:
            _pack(bundle, made / "model")
            if helper is not None:
                _pack(helper, made / "interactor")
            own = None if helper is None else Path("../interactor")
            publish(made / "store", replace(entry, bundle=Path("../model"), interactor=own))
        elif helper is not None:
            place = helper.path.relative_to(ROOT)
            _pack(helper, made / place)
            shutil.copyfile(
                ROOT / place.parent / "function.yaml", made / place.parent / "function.yaml"
            )
        if folder.exists():
            folder.rmdir()
        made.rename(folder)
    return _command(folder)


def _pack(bundle: Bundle, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in (CARD, *bundle.card.files):
        shutil.copyfile(bundle.path / name, folder / name)


def _interactor(
    entry: Entry, bundle: Bundle, folder: Path, mounts: Sequence[Path]
) -> Bundle | None:
    """Return the interactor that the folder must include: None if no box becomes a mask.

    With mounts it is the built-in one, for later entries that name none; an entry's own is found
    under the mounts. Raises ExportError if there is none.
    """
    needs_masks = bundle.card.task == "boxes" and entry.shows_masks
    if not needs_masks and not mounts:
        return None
    if entry.interactor is not None and not mounts:
        return read_bundle(entry.interactor)
    general = general_interactor()
    if general is None and needs_masks:
        raise ExportError(
            folder,
            "its boxes are shown as masks or polygons, but no interactor that could make them"
            " is part of this build",
        )
    return general


def _engines(bundle: Bundle, folder: Path, *, every: bool) -> list[str]:
    """Return the modules of the engines: the bundle's, or all that later versions may need."""
    places = {name: target.partition(":")[0] for name, target in ENGINES.items()}
    own = places.get(bundle.card.engine, "")
    foreign = set(names()) - set(places) - set(offered_names(ENGINES_GROUP))
    if bundle.card.engine in foreign:
        raise ExportError(
            folder, f"engine {bundle.card.engine} belongs to another package; run the function host"
        )
    if not own:
        raise ExportError(folder, f"engine {bundle.card.engine} needs torch; run the function host")
    if not every:
        return [own]
    return [
        place
        for place in sorted(set(places.values()))
        if (ROOT / f"{place.replace('.', '/')}.py").exists()
    ]


def _yaml(entry: Entry, bundle: Bundle, mounts: Sequence[Path]) -> str:
    described = describe(entry, labels_of(entry, bundle.card), port=8080)
    hashes = ", ".join(f"{name} {sha256}" for name, sha256 in bundle.card.files.items())
    content: dict[str, Any] = {
        "metadata": {
            "name": entry.id,
            "namespace": "cvat",
            "annotations": described["metadata"]["annotations"],
        },
        "spec": {
            "description": entry.description,
            "runtime": "python:3.11",
            "handler": "main:handler",
            "eventTimeout": "60s",
            "env": [],
            "build": {
                "image": f"cvat-model-{entry.id.lower()}",
                "baseImage": "python:3.11-slim-bookworm",
                "directives": {
                    "preCopy": [
                        {"kind": "WORKDIR", "value": "/opt/nuclio"},
                        {"kind": "RUN", "value": f"pip install --no-cache-dir {_pins()}"},
                    ]
                },
            },
            "triggers": {
                "myHttpTrigger": {
                    "kind": "http",
                    "numWorkers": 1,
                    "workerAvailabilityTimeoutMilliseconds": 10000,
                    "attributes": {"maxRequestBodySize": _BODY_BYTES},
                }
            },
            "platform": {
                "attributes": {
                    "restartPolicy": {"name": "always", "maximumRetryCount": 3},
                    "mountMode": "volume",
                }
            },
        },
    }
    if mounts:
        content["spec"]["env"] = [
            {"name": "STORE", "value": str(mounts[0])},
            {"name": "FUNCTION_ID", "value": entry.id},
        ]
        content["spec"]["volumes"] = [
            {
                "volume": {"name": f"models-{n}", "hostPath": {"path": str(path)}},
                "volumeMount": {"name": f"models-{n}", "mountPath": str(path), "readOnly": True},
            }
            for n, path in enumerate(mounts)
        ]
    head = f"# version {entry.version}; sha256: {hashes}\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _pins() -> str:
    """Return the requirements, pinned to the installed versions: what was tested is what serves."""
    return " ".join(f"{name}=={_version(name)}" for name in _PACKAGES)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return version(_TWINS[name])


def _command(folder: Path) -> str:
    network = json.dumps({"attributes": {"network": "cvat_cvat"}})
    return shlex.join(
        [
            *("nuctl", "deploy", "--project-name", "cvat", "--path", str(folder)),
            *("--file", str(folder / "function.yaml"), "--platform", "local"),
            *("--platform-config", network),
        ]
    )
