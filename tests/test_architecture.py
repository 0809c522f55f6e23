"""Who may import whom, as ARCHITECTURE.md says; the test fails when it has nothing to guard."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("active_learning", "trainer", "serverless", "cvat_bridge")

FIRST_PARTY = {
    "active_learning": set(),
    "trainer": set(),
    "serverless": {"trainer"},
    "cvat_bridge": {"active_learning", "trainer", "serverless"},
}

# third-party package -> path prefixes that alone may import it
HELD = {
    "torch": ("trainer/backends/",),
    "torchvision": ("trainer/backends/",),
    "ultralytics": ("trainer/backends/",),
    "mlflow": ("trainer/registry/mlflow_access.py",),
    "onnxruntime": ("trainer/engines/", "serverless/"),
    "cvat_sdk": ("cvat_bridge/",),
    "dbos": ("cvat_bridge/",),
    "fastapi": ("cvat_bridge/", "serverless/"),
    "nuclio_sdk": ("serverless/",),
    "faiss": ("active_learning/",),
    "sklearn": ("active_learning/", "trainer/calibration/", "cvat_bridge/thresholds/"),
}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Give (line, full dotted name) of each import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                here = path.relative_to(ROOT).with_suffix("").parts
                yield node.lineno, ".".join([*here[: -node.level], node.module or ""]).rstrip(".")
            else:
                yield node.lineno, node.module or ""


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_first_party_packages_it_may(package: str) -> None:
    seen = 0
    wrong = []
    for path in modules(package):
        for line, name in imports(path):
            seen += 1
            top = name.split(".")[0]
            if top in PACKAGES and top != package and top not in FIRST_PARTY[package]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")

    assert seen > 10, f"{package}: only {seen} imports seen, the test guards nothing"
    assert wrong == []


def test_each_heavy_library_is_imported_only_where_it_is_held() -> None:
    wrong, met = [], set()
    for package in PACKAGES:
        for path in modules(package):
            place = path.relative_to(ROOT).as_posix()
            for line, name in imports(path):
                top = name.split(".")[0]
                if top in HELD:
                    met.add(top)
                    if not place.startswith(HELD[top]):
                        wrong.append(f"{place}:{line} imports {name}")

    assert {"torch", "cvat_sdk", "dbos", "mlflow", "onnxruntime"} <= met
    assert wrong == []


def test_serverless_never_imports_a_training_backend() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in modules("serverless")
        for line, name in imports(path)
        if name.startswith("trainer.backends")
    ]

    assert wrong == []


def test_importing_every_module_outside_the_backends_leaves_torch_unimported() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in modules(package)
        if path.name != "__main__.py"
        and not path.relative_to(ROOT).as_posix().startswith("trainer/backends/")
        # A function folder's main.py is an entry point: it is imported by Nuclio alone.
        and not (package == "serverless" and path.name == "main.py")
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "heavy = {'torch', 'torchvision', 'ultralytics', 'mlflow'} & set(sys.modules)\n"
        "print(sorted(heavy)); sys.exit(bool(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert len(names) > 30
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_there_is_no_cycle_of_imports_at_module_level() -> None:
    known = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in PACKAGES
        for path in modules(package)
    }
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        graph[name] = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    graph[name].add(inner if inner in known else node.module)
            elif isinstance(node, ast.Import):
                graph[name].update(alias.name for alias in node.names)
        graph[name] &= known.keys()
    cycles: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            cycles.append([*trail[trail.index(name) :], name])
        elif name not in done:
            for other in sorted(graph[name]):
                visit(other, [*trail, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])

    assert sum(map(len, graph.values())) > 50
    assert cycles == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    banned = {"utils", "common", "helpers", "manager", "base", "misc"}
    wrong = [str(p.relative_to(ROOT)) for k in PACKAGES for p in modules(k) if p.stem in banned]

    assert wrong == []
