"""Counts over source text, so that a commit of the past is measured as the tree of today is."""

from __future__ import annotations

import ast
import copy
import io
import subprocess
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations

from tests.imports import PACKAGES, ROOT, files

LEAST_STATEMENTS = 5  # of a function that can be called a copy of another
Sources = Mapping[str, str]  # by path


def of_today() -> Sources:
    """Return the product's Python files as they lie here."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in files().values()
    }


def of_commit(commit: str) -> Sources | None:
    """Return the product's Python files of a commit, None where git has no such commit."""
    done = subprocess.run(
        ["git", "archive", commit, *PACKAGES], cwd=ROOT, capture_output=True, check=False
    )
    if done.returncode:
        return None
    found = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".py") else None
            if file is not None:
                found[member.name] = file.read().decode()
    return found


def lines(sources: Sources) -> dict[str, int]:
    """Return the lines of each package, the sandbox's apart."""
    count: dict[str, int] = defaultdict(int)
    for path, text in sources.items():
        sandbox = path.startswith("cvat_bridge/sandbox/")
        count["sandbox" if sandbox else path.partition("/")[0]] += text.count("\n")
    return dict(count)


def settings_written_twice(sources: Sources) -> list[str]:
    """Return the settings whose default is written as a number or text in several classes.

    A setting is an annotated field of a class named …Settings, …Config or …Section, or of one of
    the configuration's models. "name: class, class" each.
    """
    places: dict[str, list[str]] = defaultdict(list)
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and _holds_settings(path, node):
                for field in node.body:
                    if isinstance(field, ast.AnnAssign) and _literal(field.value):
                        name = ast.unparse(field.target)
                        places[name].append(f"{path}:{node.name}")
    return [f"{name}: {', '.join(where)}" for name, where in sorted(places.items()) if where[1:]]


def _holds_settings(path: str, node: ast.ClassDef) -> bool:
    return path.startswith("cvat_bridge/config") or node.name.endswith(
        ("Settings", "Config", "Section", "Augmentation", "Variation", "Model")
    )


def _literal(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):  # pydantic's Field(0.5, …)
        given = {one.arg: one.value for one in value.keywords}
        value = value.args[0] if value.args else given.get("default")
    # True, False, None and "" say little by themselves: many settings have them.
    return isinstance(value, ast.Constant) and value.value not in (True, False, None, "", ...)


def duplicate_pairs(sources: Sources) -> list[str]:
    """Return the pairs of functions that are the same but for names and docstrings."""
    alike: dict[str, list[str]] = defaultdict(list)
    for path, text in sources.items():
        for node in _functions(ast.parse(text)):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if sum(isinstance(n, ast.stmt) for one in body for n in ast.walk(one)) >= (
                LEAST_STATEMENTS
            ):
                alike[_shape(body)].append(f"{path}:{node.name}")
    return [f"{a} = {b}" for where in alike.values() for a, b in combinations(sorted(where), 2)]


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _shape(body: list[ast.stmt]) -> str:
    """Write statements with local names numbered in the order they come; constants stay."""
    numbers: dict[str, str] = {}
    copied = copy.deepcopy(body)
    for statement in copied:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name):
                node.id = numbers.setdefault(node.id, f"n{len(numbers)}")
    return "\n".join(ast.dump(statement) for statement in copied)


def public_without_docstring(sources: Sources) -> list[str]:
    """Return the public modules, classes, functions and methods that have no docstring."""
    found = []
    for path, text in sources.items():
        tree = ast.parse(text)
        if not ast.get_docstring(tree) and tree.body:
            found.append(path)
        found += [f"{path}:{name}" for name in _bare(tree, "")]
    return found


def _bare(parent: ast.Module | ast.ClassDef, prefix: str) -> Iterator[str]:
    for node in parent.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name.startswith("_"):
                continue
            overload = any("overload" in ast.unparse(one) for one in node.decorator_list)
            if not ast.get_docstring(node) and not overload:
                yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from _bare(node, f"{prefix}{node.name}.")
