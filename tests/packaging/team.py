"""A third-party package made of files, as pip would leave it: modules beside a dist-info folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"```\w+\n# (?P<path>\S+)\n(?P<text>.*?)```", re.DOTALL)


def named_blocks(page: Path) -> dict[str, str]:
    """Return the code blocks of a page whose first line is a comment with a file's path."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return {match["path"]: match["text"] for match in found}


def install(
    folder: Path, files: Mapping[str, str], groups: Mapping[str, Mapping[str, str]], name: str
) -> None:
    """Write the modules and the metadata of a distribution into a folder of sys.path."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()), "")
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


def install_team(folder: Path) -> None:
    """Install the package of CONTRIBUTING.md as it stands there."""
    blocks = named_blocks(ROOT / "CONTRIBUTING.md")
    project = tomllib.loads(blocks.pop("pyproject.toml"))["project"]
    install(folder, blocks, project["entry-points"], project["name"])
