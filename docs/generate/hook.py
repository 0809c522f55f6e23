"""The hook of mkdocs: adds the pages that are made from the code and from files of the root."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from cvat_bridge.config import config_schema
from docs.generate import commands, configuration, errors, http, metrics

ROOT = Path(__file__).resolve().parents[2]


def of_root(name: str) -> Callable[[], str]:
    """Return what reads a file of the repository's root."""
    return lambda: (ROOT / name).read_text(encoding="utf-8")


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands.page,
    "reference/configuration.md": configuration.page,
    "reference/configuration.schema.json": lambda: json.dumps(config_schema(), indent=1),
    "reference/http.md": http.page,
    "reference/metrics.md": metrics.page,
    "reference/errors.md": errors.page,
    "explanation/architecture.md": of_root("ARCHITECTURE.md"),
    "contributing.md": of_root("CONTRIBUTING.md"),
    "changelog.md": of_root("CHANGELOG.md"),
    "notice.md": lambda: f"# Licences and attributions\n\n```text\n{of_root('NOTICE')()}```\n",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those that lie in docs/."""
    for uri, make in PAGES.items():
        files.append(File.generated(config, uri, content=make()))
    return files
