"""A bundle: the publishable artefact, a folder of weights and the card that describes them.

<bundle>/card.json describes it (see Card); <bundle>/model.onnx and any further files contain the
weights and are listed in card.files with their sha256.

The version of a bundle is the hash of all that determines its predictions: the card without
`created`, `metrics` and `provenance`, including the hashes of its files. Equal bundles have equal
versions, what was evaluated is what serves, and metrics may be added to a card later.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainer.data.files import check_plain, file_sha256, parse_json
from trainer.data.labels import LabelMap
from trainer.errors import BundleError, ConfigError

CARD = "card.json"
FORMAT = 1
_UNVERSIONED = ("created", "metrics", "provenance")
TASKS = frozenset({"boxes", "masks", "interactor"})


@dataclass(frozen=True)
class Card:
    """The description of a bundle.

    name: shown to people. engine: key of trainer.engines.ENGINES that runs it. task: "boxes",
    "masks" or "interactor". input_size: (height, width) in pixels of the network. min_score: 0..1,
    predictions below it are not shown to people by default; class_min_score: the same per class
    name, where it differs. files: name → sha256. metrics: of its evaluation. dataset: fingerprint
    of the training data, base: version or file name of the initial weights ("" if there are none).
    settings: of the fit. licence: SPDX id of the weights. created: UTC, ISO 8601. extra: what the
    engine needs to decode the outputs. provenance: its origin, see trainer.runs.provenance.
    """

    name: str
    engine: str
    task: str
    labels: LabelMap
    input_size: tuple[int, int]
    files: Mapping[str, str]
    min_score: float = 0.3
    class_min_score: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = ""
    base: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    created: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = [f"card.{n} is empty" for n in ("name", "engine") if not getattr(self, n)]
        if self.task not in TASKS:
            faults.append(f"card.task must be one of {', '.join(sorted(TASKS))}: {self.task!r}")
        if len(self.input_size) != 2 or min(self.input_size) < 1:
            faults.append(f"card.input_size must be (height, width): {self.input_size}")
        faults += [
            f"card.min_score of {who} must lie in 0..1: {score}"
            for who, score in (("the model", self.min_score), *self.class_min_score.items())
            if not 0 <= score <= 1
        ]
        faults += [
            f"card.class_min_score names {name!r}, which is not a label"
            for name in self.class_min_score
            if name not in self.labels.names
        ]
        faults += [
            f"card.files names {name!r}, which must be a plain file name"
            for name in self.files
            if not name or name != Path(name).name or name == CARD
        ]
        if faults:
            raise ConfigError(faults)

    @property
    def figures(self) -> dict[str, float]:
        """Return the numeric metrics for the registry: AP, AP50, and so on."""
        return {name: v for name, v in self.metrics.items() if isinstance(v, (int, float))}

    def min_score_of(self, class_name: str) -> float:
        """Return the score that a class must reach to be shown."""
        return self.class_min_score.get(class_name, self.min_score)

    def to_json(self) -> dict[str, Any]:
        """Return the card as plain JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values |= {"labels": list(self.labels), "input_size": list(self.input_size)}
        return {"format": FORMAT} | {
            k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Card:
        """Read a card; ConfigError names every key that is unknown, missing or invalid."""
        fields = {f.name: f for f in dataclasses.fields(cls)}
        known = {k: v for k, v in values.items() if k in fields}
        faults = [f"card.{k} is unknown" for k in sorted(set(values) - set(fields) - {"format"})]
        faults += [
            f"card.{name} is missing"
            for name in ("name", "engine", "task", "labels", "input_size", "files")
            if name not in values
        ]
        if values.get("format", FORMAT) != FORMAT:
            faults.append(f"card.format must be {FORMAT}: {values['format']!r}")
        if faults:
            raise ConfigError(faults)
        try:
            known["labels"] = LabelMap(tuple(str(n) for n in known["labels"]))
            known["input_size"] = tuple(int(n) for n in known["input_size"])
            return cls(**known)
        except (TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError([f"card: {error}"]) from error


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk that matches its card."""

    path: Path
    card: Card
    version: str

    def file(self, name: str) -> Path:
        """Return the path of one of its files; BundleError when the card does not list it."""
        if name not in self.card.files:
            raise BundleError(self.path, f"a file {name}", ", ".join(self.card.files) or "none")
        return self.path / name


def write_bundle(destination: Path, *, files: Mapping[str, Path], **card: Any) -> Bundle:
    """Copy files into the folder destination and write the card, atomically.

    files: name in the bundle → file to copy. card: fields of Card without `files`; `created` is
    filled in. An equal bundle that already exists is returned unchanged; raises BundleError when
    destination contains something else, ConfigError for an invalid card.
    """
    hashes = {name: file_sha256(path) for name, path in sorted(files.items())}
    if isinstance(card.get("labels"), (list, tuple)):
        card["labels"] = LabelMap(tuple(card["labels"]))
    now = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
    made = Card(**{"created": now} | card, files=hashes)
    version = version_of(made)
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    try:
        for name, path in files.items():
            shutil.copyfile(path, temporary / name)
        _write_card(temporary, made)
        temporary.chmod(0o755)
        try:
            temporary.rename(destination)
        except OSError:
            found = read_bundle(destination).version
            if found != version:
                raise BundleError(
                    destination, f"no bundle, or version {version}", f"version {found}"
                ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_bundle(destination, version=version)


def read_bundle(path: Path, *, verify: bool = True, version: str | None = None) -> Bundle:
    """Read a bundle; BundleError names what is missing or differs from the card.

    verify: hash every file. version: the required version, if the caller knows it.
    """
    try:
        check_plain(path / CARD)
        values = parse_json((path / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = "no such folder" if not path.is_dir() else "a folder without it"
        raise BundleError(path, f"a bundle with {CARD}", found) from None
    except (OSError, ValueError) as error:
        raise BundleError(path / CARD, "a card in JSON", str(error)) from error
    if not isinstance(values, dict):
        raise BundleError(path / CARD, "a JSON object", type(values).__name__)
    try:
        card = Card.from_json(values)
    except ConfigError as error:
        raise BundleError(path / CARD, "a valid card", str(error)) from error
    for name, sha256 in card.files.items():
        if not (path / name).is_file():
            raise BundleError(path, f"the file {name}", "none of that name")
        if verify and (found := file_sha256(path / name)) != sha256:
            raise BundleError(path / name, f"sha256 {sha256}", found)
    bundle = Bundle(path, card, version_of(card))
    if version is not None and bundle.version != version:
        raise BundleError(path, f"version {version}", f"version {bundle.version}")
    return bundle


def with_metrics(bundle: Bundle, metrics: Mapping[str, Any]) -> Bundle:
    """Add metrics to the card on disk; the version stays, since predictions do not change."""
    return with_card(bundle, metrics={**bundle.card.metrics, **metrics})


def with_card(bundle: Bundle, **changes: Any) -> Bundle:
    """Change card fields on disk that are not part of the version; BundleError for others."""
    card = dataclasses.replace(bundle.card, **changes)
    if version_of(card) != bundle.version:
        raise BundleError(bundle.path, f"version {bundle.version}", f"version {version_of(card)}")
    _write_card(bundle.path, card)
    return read_bundle(bundle.path, verify=False, version=bundle.version)


def revised(bundle: Bundle, **changes: Any) -> Bundle:
    """Change card fields on disk that determine the predictions; the version changes."""
    card = dataclasses.replace(bundle.card, **changes)
    _write_card(bundle.path, card)
    return read_bundle(bundle.path, verify=False, version=version_of(card))


def version_of(card: Card) -> str:
    """Return the version of a card: 16 hex digits."""
    values = {k: v for k, v in card.to_json().items() if k not in _UNVERSIONED}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _write_card(folder: Path, card: Card) -> None:
    part = folder / f".{CARD}.part"
    part.write_text(json.dumps(card.to_json(), indent=1, sort_keys=True), encoding="utf-8")
    part.replace(folder / CARD)
