"""Who may import whom, as ARCHITECTURE.md says; the test fails when it has nothing to guard."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import imports as imports_of_ours
from tests.imports import PACKAGES, ROOT, modules

MOST_MODULES = 15  # a folder, its __init__ apart
MOST_AT_A_ROOT = 12

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
    "sklearn": (),  # scipy has what is needed of it, and the base install does without
}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, full dotted name) of each import, wherever in the file it stands."""
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


def test_the_help_of_the_bridge_waits_for_no_heavy_library() -> None:
    heavy = {"numpy", "cv2", "pydantic", "structlog", "httpx", "sqlalchemy", "cvat_sdk"}
    script = (
        "import sys, cvat_bridge.cli.app\n"
        f"print(sorted({heavy!r} & set(sys.modules))); sys.exit(bool({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_the_settings_of_a_backend_leave_torch_unimported() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "trainer" / "backends").glob("*/settings.py"))
    ]
    script = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'torch', 'torchvision', 'ultralytics', 'libreyolo'} & set(sys.modules)\n"
        "    if heavy: sys.exit(f'{name} imports {heavy}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert len(names) >= 6
    assert done.returncode == 0, done.stderr[-2000:]


def test_every_kind_of_import_is_seen() -> None:
    seen = {(arrow.source, arrow.target) for arrow in imports_of_ours.arrows()}

    assert len(seen) > 1000
    # at the top, in a function, a string with an attribute, a string alone
    assert ("trainer.cli.app", "trainer.cli.fit_commands") in seen
    assert ("cvat_bridge.models.workspace", "cvat_bridge.cvat.connecting") in seen
    assert ("trainer.__init__", "trainer.backends.sam.engine") in seen
    assert ("trainer.importing.torch_weights", "trainer.backends.semantic.settings") in seen


def test_there_is_no_circle_between_files() -> None:
    assert imports_of_ours.file_circles() == []


def test_there_is_no_circle_between_the_parts_of_any_folder() -> None:
    assert imports_of_ours.folder_circles() == []


def test_a_circle_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set(), "f": {"a"}}

    assert imports_of_ours.circles(graph) == [["a", "b", "c"]]


def test_no_room_imports_one_above_it() -> None:
    # A package's own __init__ joins its parts: it may name what is above it by a string.
    joins = "trainer.__init__:"
    upward = [arrow for arrow in imports_of_ours.upward_arrows() if not arrow.startswith(joins)]

    assert imports_of_ours.undeclared() == [], "say in tests/imports.py ORDER where it stands"
    assert upward == []


def test_the_sandbox_imports_nothing_of_ours() -> None:
    inside = [a for a in imports_of_ours.arrows() if a.source.startswith("cvat_bridge.sandbox.")]
    wrong = [str(a) for a in inside if not a.target.startswith("cvat_bridge.sandbox.")]

    assert len(inside) > 100
    assert wrong == []


def test_no_folder_has_more_than_fifteen_modules() -> None:
    count = imports_of_ours.modules_by_folder()

    assert len(count) > 30
    assert {folder: n for folder, n in count.items() if n > MOST_MODULES} == {}
    roots = {package: count[package] for package in ("trainer", "serverless", "cvat_bridge")}
    assert {package: n for package, n in roots.items() if n > MOST_AT_A_ROOT} == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    banned = {"utils", "common", "helpers", "manager", "base", "misc"}
    wrong = [str(p.relative_to(ROOT)) for k in PACKAGES for p in modules(k) if p.stem in banned]

    assert wrong == []
