"""What is installed and what a start costs."""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import tomllib
from packaging.requirements import Requirement

from tests.imports import ROOT


def base_install() -> tuple[float, int, list[str]]:
    """Return the megabytes and number of the base install's packages, and those not installed.

    They are the dependencies that pyproject.toml names and all that these need in turn.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pending = [Requirement(text) for text in project["dependencies"]]
    seen: set[tuple[str, str]] = set()
    sizes: dict[str, int] = {}
    missing = set()
    while pending:
        wanted = pending.pop()
        for extra in ("", *sorted(wanted.extras)):
            name = wanted.name.lower().replace("_", "-")
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            try:
                found = distribution(wanted.name)
            except PackageNotFoundError:
                missing.add(name)
                continue
            sizes[name] = _size(found)
            for text in found.requires or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    pending.append(needed)
    return sum(sizes.values()) / 1e6, len(sizes), sorted(missing)


def _size(found: Distribution) -> int:
    paths = (Path(str(file.locate())) for file in found.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())


def cpu_seconds(command: list[str], *, times: int = 5) -> float:
    """Return the least CPU time of a command over some runs; its output is thrown away."""
    spent = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


def program(name: str) -> list[str]:
    """Return the command of a program that lies beside this Python."""
    return [str(Path(sys.executable).parent / name), "--help"]


def docs_warnings() -> int | None:
    """Return how many warnings building the documentation gives, None without mkdocs."""
    if importlib.util.find_spec("mkdocs") is None:
        return None
    with tempfile.TemporaryDirectory() as site:
        done = subprocess.run(
            [sys.executable, "-m", "mkdocs", "build", "--site-dir", site],
            cwd=ROOT,
            env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"mkdocs ended with {done.returncode}: {done.stderr[-1000:]}")
    return done.stderr.count("WARNING")
