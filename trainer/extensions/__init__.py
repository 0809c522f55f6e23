"""Backends and engines added to the built-in tables; imported on first use.

Another package adds one through an entry point. A sub-package of ours that a table must not import,
because it is above it, registers itself with `offer`.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import TYPE_CHECKING, Any

from trainer.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENGINES_GROUP = "cvat_active_learning.engines"
_OFFERED: dict[str, dict[str, str]] = {}


def offer(group: str, name: str, target: str) -> None:
    """Add an entry to the table of a group. target: "module:attribute"."""
    _OFFERED.setdefault(group, {})[name] = target


def offered_names(group: str) -> tuple[str, ...]:
    """Return the names that were added by `offer`, sorted."""
    return tuple(sorted(_OFFERED.get(group, ())))


def all_names(group: str, own: Collection[str]) -> tuple[str, ...]:
    """Return the names of a table and those that other packages add to it, sorted."""
    return tuple(sorted({*own, *offered_names(group), *(e.name for e in _entries(group))}))


def extension(group: str, name: str, *, own: Collection[str]) -> Any | None:
    """Return what is added to a table under that name, or None.

    group: of entry points. own: the names of the built-in table. Raises ConfigError when two
    packages provide the name, or the object cannot be imported.
    """
    offered = tuple(entry for entry in _entries(group) if entry.name == name)
    target = _OFFERED.get(group, {}).get(name)
    ours = target is not None or name in own
    what = group.rpartition(".")[2].removesuffix("s")
    if len(offered) + ours > 1:
        packages = [_package(entry) for entry in offered] + ["trainer"] * ours
        fault = (
            f"the {what} {name!r} is provided by {' and by '.join(packages)}; names are unique: "
            "rename the entry point, or uninstall one of them"
        )
        raise ConfigError([fault])
    if offered:
        package, target = _package(offered[0]), offered[0].value
    elif target is not None:
        package = "trainer"
    else:
        return None
    try:
        return offered[0].load() if offered else _attribute(target)
    except (ImportError, AttributeError) as error:
        fault = f"the {what} {name!r} of {package} ({target}) cannot be imported: {error}"
        raise ConfigError([fault]) from error


def _entries(group: str) -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # slow to import, and trainer is imported first

    return tuple(entry_points(group=group))


def _attribute(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _package(entry: EntryPoint) -> str:
    return "an unnamed package" if entry.dist is None else entry.dist.name
