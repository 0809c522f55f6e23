"""Read class names: one per line, an ultralytics data.yaml, or a JSON list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.data.files import parse_json
from trainer.data.labels import LabelMap
from trainer.data.texts import read_text
from trainer.errors import ConfigError


def read_classes(path: Path) -> tuple[str, ...]:
    """Return the names in order; ConfigError explains what is wrong with the file."""
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read as a list of classes: {error}"]) from error
    # Only line feeds separate names: splitlines also splits at characters that a name may contain.
    described = path.suffix.lower() in (".yaml", ".yml", ".json")
    names = _of_yaml(path, text) if described else text.split("\n")
    kept = tuple(names if described else (name.strip() for name in names if name.strip()))
    if not kept:
        raise ConfigError([f"{path}: contains no class name"])
    try:
        return LabelMap(kept).names
    except ConfigError as error:
        raise ConfigError([f"{path}: {fault}" for fault in error.faults]) from error


def matching_names(
    path: Path, known: Sequence[str], given: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the given names, or the known ones; ConfigError when their numbers differ."""
    if given is None:
        return LabelMap(tuple(known)).names
    if len(given) != len(known):
        raise ConfigError(
            [
                (
                    f"{path}: the network has {len(known)} classes ({', '.join(known[:5])}"
                    f"{', …' if len(known) > 5 else ''}), the list names {len(given)}"
                )
            ]
        )
    return LabelMap(tuple(given)).names


def of_mapping(path: Path, names: Any) -> tuple[str, ...]:
    """Read {0: "a", 1: "b"} or ["a", "b"]; ConfigError for gaps and other forms."""
    if isinstance(names, list):
        return tuple(str(name) for name in names)
    if isinstance(names, dict):
        try:
            by_id = {int(n): str(name) for n, name in names.items()}
        except (TypeError, ValueError) as error:
            raise ConfigError([f"{path}: class ids must be numbers: {error}"]) from error
        if sorted(by_id) == list(range(len(by_id))):
            return tuple(by_id[n] for n in range(len(by_id)))
        raise ConfigError([f"{path}: class ids must run from 0 without gaps: {sorted(by_id)}"])
    raise ConfigError([f"{path}: names must be a list or id: name, found {type(names).__name__}"])


def _of_yaml(path: Path, text: str) -> Sequence[str]:
    import yaml

    try:
        content = texts_of(text)
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: not YAML: {error}"]) from error
    if "" in content:  # not a mapping: a bare list of names
        return of_mapping(path, content[""])
    if "names" not in content:
        raise ConfigError([f"{path}: expected a YAML with `names`, as ultralytics' data.yaml"])
    return of_mapping(path, content["names"])


def texts_of(text: str) -> dict[str, Any]:
    """Return the content of a YAML or JSON text with every value as text.

    A class called `no`, `1.10` or `2020-01-01` stays a name. Content that is not a mapping is
    returned under "". Raises yaml.YAMLError.
    """
    import yaml

    # JSON writes letters beyond U+FFFF as two escapes, which YAML does not support.
    try:
        content = parse_json(text)
    except ValueError:
        # BaseLoader creates only texts, lists and mappings: less than the safe loader.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    return content if isinstance(content, dict) else {"": content}
