"""The house itself: rooms, arrows, lines, copies, the install, the start, the documentation.

    python -m tests.bench.house [--before COMMIT]

What can be counted in source text is counted in a commit of the past, too: the peer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import version

from tests import imports
from tests.bench.figures import Figure, write
from tests.bench.housing import installed, sources

BEFORE = "26aa757"  # the last commit before the modules moved into rooms
_MOST_SHOWN = 12


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write tests/bench/results/house.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.house", description=__doc__)
    parser.add_argument("--before", default=BEFORE, help="the commit to compare with")
    parser.add_argument("--data", help="read by other areas")
    before = parser.parse_args(arguments).before
    write("house", [*_rooms(), *_text(before), *_installed()], stale=lambda _: True)


def _rooms() -> list[Figure]:
    count = imports.modules_by_folder()
    largest = max(count, key=lambda folder: count[folder])
    upward = imports.upward_arrows()
    circles = [
        *(" ⇄ ".join(circle) for circle in imports.file_circles()),
        *imports.folder_circles(),
    ]
    return [
        Figure("folder_modules_max", count[largest], "modules", note=largest),
        *(Figure(f"root_modules/{name}", count[name], "modules") for name in imports.PACKAGES),
        Figure("upward_arrows", len(upward), "imports", note=_shown(upward)),
        Figure("circles", len(circles), "circles", note=_shown(circles)),
    ]


def _text(commit: str) -> list[Figure]:
    now, then = sources.of_today(), sources.of_commit(commit)
    figures = []
    if then is None:
        raise SystemExit(f"git has no commit {commit} here; give another by --before")
    lines, were = sources.lines(now), sources.lines(then)
    product = [name for name in lines if name != "sandbox"]
    lines["product without sandbox"] = sum(lines[name] for name in product)
    were["product without sandbox"] = sum(were[name] for name in product)
    figures += [
        _against(f"lines/{name}", "lines", lines[name], commit, were[name]) for name in lines
    ]
    counts: dict[str, Callable[[sources.Sources], list[str]]] = {
        "settings_written_twice": sources.settings_written_twice,
        "duplicate_pairs": sources.duplicate_pairs,
        "public_without_docstring": sources.public_without_docstring,
    }
    for name, counted in counts.items():
        found = counted(now)
        figure = _against(name, "", len(found), commit, len(counted(then)), note=_shown(found))
        figures.append(figure)
    return figures


def _installed() -> list[Figure]:
    megabytes, packages, missing = installed.base_install()
    ours = installed.cpu_seconds(installed.program("cvat-bridge"))
    theirs = installed.cpu_seconds(installed.program("cvat-cli"))
    warnings = installed.docs_warnings()
    note = f"{packages} packages"
    if missing:
        note += f"; not installed here and so not counted: {', '.join(missing)}"
    return [
        Figure("base_install_mb", megabytes, "MB", note=note),
        Figure(
            "help_cpu_ratio",
            ours,
            "s of CPU",
            f"cvat-cli {version('cvat-cli')} --help",
            theirs,
            ours / theirs,
            "least of five starts each",
        ),
        Figure(
            "docs_warnings",
            warnings,
            "warnings",
            note="mkdocs is not installed here" if warnings is None else "",
        ),
    ]


def _against(name: str, unit: str, value: int, commit: str, was: int, *, note: str = "") -> Figure:
    return Figure(name, value, unit, commit, was, value / was if was else None, note)


def _shown(found: Sequence[str]) -> str:
    more = f" … and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return "; ".join(found[:_MOST_SHOWN]) + more


if __name__ == "__main__":
    main()
