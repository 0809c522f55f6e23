"""`cvat-bridge sweep`: delete what the store of artefacts holds for nobody."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cvat_bridge.secrecy import out


def sweep(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
    ] = Path("cvat-bridge.yaml"),
    days: Annotated[
        float, typer.Option(min=1.0, help="Files younger than this stay in any case.")
    ] = 7.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
) -> None:
    """Delete from the shared store what nothing refers to, and what was kept for too long."""
    from datetime import timedelta

    from cvat_bridge.errors import NothingToDoError
    from cvat_bridge.projects import load_served
    from cvat_bridge.store.opening import blobs_of
    from cvat_bridge.store.retention import sweep_store

    blobs = blobs_of(load_served(config).shared)
    if blobs is None:
        raise NothingToDoError("no `store` is set: everything is kept in home")
    swept = sweep_store(blobs, age=timedelta(days=days), dry=dry_run)
    if as_json:
        out.print_json(json.dumps(asdict(swept)))
        return
    verb = "would be deleted" if dry_run else "deleted"
    out.print(
        f"{blobs}: {swept.removed} files ({swept.freed / 1e6:.1f} MB) {verb}, {swept.kept} kept",
        markup=False,
        highlight=False,
    )
    for name in swept.expired:
        out.print(f"{name}: too old, {verb}", markup=False, highlight=False)
