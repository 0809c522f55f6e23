"""A file on disk becomes a model in CVAT: taken in, tried on a frame, registered, published."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.errors import LabelMismatchError
from cvat_bridge.models.catalogue import ModelCatalogue
from cvat_bridge.models.entries import entry_for
from cvat_bridge.models.relabelling import remember
from cvat_bridge.models.trial import TrialResult, try_out
from serverless.store.functions import Entry
from trainer.bundles.bundle import Bundle, with_card
from trainer.data.files import file_sha256
from trainer.data.images import decode
from trainer.importing import ImportRequest, import_model
from trainer.registry.versions import Version


@dataclass(frozen=True)
class AddedModel:
    """What came of a file. new: False where this very model was there already.

    missing: classes of the model for which the project has no label that can take them.
    """

    version: Version
    entry: Entry
    bundle: Bundle
    trial: TrialResult
    new: bool
    missing: tuple[str, ...] = ()


def add_from_file(
    catalogue: ModelCatalogue,
    request: ImportRequest,
    function_id: str,
    *,
    sample: bytes,
    labels: Sequence[Label] | None = None,
    own: Path | None = None,
    project: int | None = None,
) -> AddedModel:
    """Take a file in and let it serve; what fails on the way leaves nothing behind.

    labels: those of the project for which it is shown, None for every class under its own name.
    own: the interactor that makes masks of boxes for that project, where it has one of its own.
    project: its id, by which later changes of its labels are followed.
    Raises ModelFileError, ConfigError, BundleError or ModelError for a file that cannot serve,
    and LabelMismatchError when the project has a label for none of its classes.
    """
    catalogue.check_free(function_id)
    with tempfile.TemporaryDirectory(prefix="bring-") as scratch:
        bundle = import_model(
            replace(
                request,
                hidden=(
                    *request.hidden,
                    catalogue.home.root,
                    catalogue.home.library,
                    catalogue.store,
                ),
                sample=decode(sample),
            ),
            Path(scratch) / "bundle",
        )
        if not bundle.card.provenance:
            bundle = with_card(bundle, provenance=_origin(request))
        entry = replace(
            entry_for(function_id, request.name, bundle.card, bundle.path, labels, own),
            version=bundle.version,
        )
        names = bundle.card.labels.names
        if labels is not None and entry.kind == "detector" and not entry.labels:
            raise LabelMismatchError(
                [label.name for label in labels],
                names,
                "Name its classes as the project does (--labels), or leave --project out and map"
                " them by hand in CVAT",
            )
        trial = try_out(entry, sample)
        tags = {"source": request.path.name}
        version, published, new = catalogue.put(entry, bundle, tags=tags)
        if labels is not None and project is not None and entry.kind == "detector":
            remember(catalogue.store, published, project, labels)
    shown = {label.source for label in entry.labels}
    missing = tuple(name for name in names if shown and name not in shown)
    return AddedModel(version, published, bundle, trial, new, missing)


def _origin(request: ImportRequest) -> dict[str, object]:
    """Return where the weights came from, as a card does; see trainer.runs.provenance."""
    if request.path.is_dir():
        return {}
    sha256 = {request.path.name: file_sha256(request.path)}
    return {"base": {"name": request.path.name, "version": "", "sha256": sha256}}
