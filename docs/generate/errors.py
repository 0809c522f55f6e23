"""The reference of the errors, from the classes of the four packages."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

import active_learning.errors
import cvat_bridge.errors
import serverless.errors
import trainer.errors
from docs.generate.tables import code, table

MODULES: tuple[ModuleType, ...] = (
    cvat_bridge.errors,
    trainer.errors,
    serverless.errors,
    active_learning.errors,
)
INTRODUCTION = """# Errors

Every error that is raised on purpose is one of these. On the command line it is a line on
standard error and an exit code: 2 for a `ConfigError`, 3 for `NothingToDoError`, 1 for the
others. The function host answers with the HTTP status.
"""


def classes(module: ModuleType) -> Iterator[type[Exception]]:
    """Give the error classes that a module defines, in its order."""
    for found in vars(module).values():
        if (
            inspect.isclass(found)
            and issubclass(found, Exception)
            and found.__module__ == module.__name__
        ):
            yield found


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for module in MODULES:
        rows = [
            (
                code(one.__name__),
                code(one.__bases__[0].__name__),
                " ".join((inspect.getdoc(one) or "").split()),
                str(getattr(one, "status", "")),
            )
            for one in classes(module)
        ]
        package = module.__name__.partition(".")[0]
        head = ("error", "is a", "meaning", "HTTP")
        wide = any(row[3] for row in rows)
        shown = rows if wide else [row[:3] for row in rows]
        parts.append(f"## {package}\n\n{table(head if wide else head[:3], shown)}\n")
    return "\n".join(parts)
