"""Find the first-party files that a module needs, for a function's folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_OURS = ("serverless", "trainer")


def sources(*modules: str) -> list[Path]:
    """Return the files of these modules and of all first-party modules they import, from ROOT.

    Imports inside functions count too. Modules named only in strings, as in a table of engines,
    must be passed explicitly. Raises ModuleNotFoundError for a missing module.
    """
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = _file(name)
        if path is None:
            raise ModuleNotFoundError(name)
        found[name] = path
        parents = name.split(".")[:-1]
        waiting += [".".join(parents[: n + 1]) for n in range(len(parents))]
        waiting += [other for other in _imported(path) if other not in found]
    return sorted({path.relative_to(ROOT) for path in found.values()})


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] in _OURS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _OURS:
            module = str(node.module)
            yield module
            inner = (f"{module}.{alias.name}" for alias in node.names)
            yield from (name for name in inner if _file(name) is not None)


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None
