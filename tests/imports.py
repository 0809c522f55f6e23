"""The imports of our packages as a graph, for the guard tests and the bench `house`.

An import counts wherever in a file it stands: at the top, in a function, for types alone. So does
a string that names a module of ours, "package.module" or "package.module:attribute", as tables of
what is imported on first use hold them.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("active_learning", "trainer", "serverless", "cvat_bridge")
_NAMED = re.compile(rf"((?:{'|'.join(PACKAGES)})(?:\.\w+)+)(:\w+)?")
_LOGGERS = {"get_logger", "getLogger"}

# Rooms and root files of a package, lowest first: each may import only what stands before it.
ORDER: Mapping[str, tuple[str, ...]] = {
    "active_learning": (
        *("errors", "pool", "stopping", "control", "picks", "measures", "selectors", "mistakes"),
        *("simulate", "duplicates", "reasons", "settings", "queries", "query_strategy"),
        *("strategies", "prepared", "choose"),
    ),
    "trainer": (
        *("moved_names", "renamed_names", "moved", "renamed", "errors", "machine", "terminal"),
        *("detections", "scores"),
        *("extensions", "__init__", "data", "blobs", "interactor", "bundles", "detector", "events"),
        *("registry", "calibration", "engines", "evaluation", "gate", "backends", "embedding"),
        *("importing", "runs", "cli", "__main__"),
    ),
    "serverless": (
        *("moved_names", "__init__", "errors", "polygon", "store", "wire", "host"),
        *("handler", "export", "centernet", "extreme_points", "libreyolo", "mask_rcnn", "semantic"),
        *("torchvision_detection", "yolo"),
    ),
    "cvat_bridge": (
        *(
            "moved_names",
            "__init__",
            "errors",
            "progress",
            "secrecy",
            "sandbox",
            "service",
            "suggestions",
            "config",
        ),
        *(
            "home",
            "projects",
            "database",
            "ledger",
            "cvat",
            "settings",
            "store",
            "frames",
            "shapes",
            "project",
            "pull",
            "masks",
        ),
        *("thresholds", "savings", "evaluations", "models", "annotate", "function", "training"),
        *("queues", "loop", "workers"),
        *("recovery", "mistakes", "blindspots", "groups", "assembly", "web", "running"),
        *("demo", "cli"),
    ),
    "cvat_bridge.sandbox": (
        *("store", "web", "about", "accounts", "notifications", "resources", "frames"),
        *(
            "analytics",
            "annotations",
            "models",
            "routes",
            "app",
            "serving",
            "process",
            "__init__",
            "__main__",
        ),
    ),
}


@dataclass(frozen=True)
class Arrow:
    """One import. source, target: dotted names of files, a package's being its __init__."""

    source: str
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line} → {self.target}"


def modules(package: str) -> list[Path]:
    """Return the files of a package, sorted."""
    return sorted((ROOT / package).rglob("*.py"))


@cache
def files() -> Mapping[str, Path]:
    """Return every file of ours by its dotted name."""
    paths = (path for package in PACKAGES for path in modules(package))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}


def _file(name: str) -> str | None:
    return next((one for one in (name, f"{name}.__init__") if one in files()), None)


def _named(path: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the modules that strings name; those of loggers and of old names are no imports."""
    if path.name in ("moved_names.py", "renamed_names.py"):
        return
    loggers = {
        id(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and node.args
        if getattr(node.func, "attr", getattr(node.func, "id", "")) in _LOGGERS
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = _NAMED.fullmatch(node.value)
            # A package alone is what `python -m` runs, or a name in a sentence.
            if found and id(node) not in loggers and (found[2] or found[1] in files()):
                yield node.lineno, found[1]


@cache
def arrows() -> tuple[Arrow, ...]:
    """Return every import from one file of ours to another."""
    found = []
    for source, path in files().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = list(_named(path, tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names += [(node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    names.append((node.lineno, inner if _file(inner) else node.module))
        for line, name in names:
            target = _file(name)
            if target is not None and target != source:
                found.append(Arrow(source, line, target))
    return tuple(found)


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected parts of more than one node, by Tarjan's algorithm."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in number:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], number[other])
        if low[node] == number[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(part) > 1:
                found.append(sorted(part))

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


def inside(folder: str) -> dict[str, set[str]]:
    """Return who imports whom among the parts of a folder, its files and its sub-folders.

    folder: dotted; "" for the packages themselves.
    """
    prefix = f"{folder}." if folder else ""
    graph: dict[str, set[str]] = defaultdict(set)
    for name in files():
        if name.startswith(prefix):
            graph[_part(name, prefix)]
    for arrow in arrows():
        if arrow.source.startswith(prefix) and arrow.target.startswith(prefix):
            source, target = _part(arrow.source, prefix), _part(arrow.target, prefix)
            if source != target:
                graph[source].add(target)
    return dict(graph)


def _part(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).partition(".")[0]


def folders() -> list[str]:
    """Return every folder with files of ours, dotted; "" for what holds the packages."""
    return sorted({"", *(name.rpartition(".")[0] for name in files())})


def file_circles() -> list[list[str]]:
    """Return the circles between files."""
    graph: dict[str, set[str]] = {name: set() for name in files()}
    for arrow in arrows():
        graph[arrow.source].add(arrow.target)
    return circles(graph)


def folder_circles() -> list[str]:
    """Return the circles between the parts of every folder, in words."""
    return [
        f"{folder or 'packages'}: {' ⇄ '.join(circle)}"
        for folder in folders()
        for circle in circles(inside(folder))
    ]


def upward_arrows() -> list[str]:
    """Return the imports against ORDER, in words."""
    found = []
    for folder, order in ORDER.items():
        place = {name: n for n, name in enumerate(order)}
        prefix = f"{folder}."
        for arrow in arrows():
            if arrow.source.startswith(prefix) and arrow.target.startswith(prefix):
                source, target = _part(arrow.source, prefix), _part(arrow.target, prefix)
                if source in place and target in place and place[source] < place[target]:
                    found.append(str(arrow))
    return found


def undeclared() -> list[str]:
    """Return what stands in a package, or is said to, and not in both it and ORDER."""
    return [
        f"{folder}.{name}"
        for folder, order in ORDER.items()
        for name in sorted(set(inside(folder)) ^ set(order))
        if name != "__init__"
    ]


def modules_by_folder() -> dict[str, int]:
    """Return how many modules each folder holds, its __init__ apart."""
    count: dict[str, int] = defaultdict(int)
    for name in files():
        folder, _, module = name.rpartition(".")
        count[folder] += module != "__init__"
    return dict(count)
