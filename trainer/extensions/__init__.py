"""Backends and engines of other packages, which their entry points name; imported on first use."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from trainer.errors import ConfigError


def all_names(group: str, own: Collection[str]) -> tuple[str, ...]:
    """Return the names of a table and those that other packages add to it, sorted."""
    return tuple(sorted({*own, *(entry.name for entry in entry_points(group=group))}))


def extension(group: str, name: str, *, own: Collection[str]) -> Any | None:
    """Return what another package offers under that name, None when no other package does.

    group: of entry points. own: the names of our own table. Raises ConfigError when the name is
    offered twice, or what is offered cannot be imported.
    """
    offered = tuple(entry_points(group=group, name=name))
    what = group.rpartition(".")[2].removesuffix("s")
    if len(offered) + (name in own) > 1:
        packages = [_package(entry) for entry in offered] + ["trainer"] * (name in own)
        fault = (
            f"the {what} {name!r} is offered by {' and by '.join(packages)}; a name belongs to one "
            "package: rename the entry point, or uninstall one of them"
        )
        raise ConfigError([fault])
    if not offered:
        return None
    entry = offered[0]
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        fault = (
            f"the {what} {name!r} of {_package(entry)} ({entry.value}) cannot be imported: {error}"
        )
        raise ConfigError([fault]) from error


def _package(entry: EntryPoint) -> str:
    return "an unnamed package" if entry.dist is None else entry.dist.name
