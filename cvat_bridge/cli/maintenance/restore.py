"""`cvat-bridge restore`: the way back when records of the bridge were lost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cvat_bridge.secrecy import err, out


def restore(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
    ] = Path("cvat-bridge.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
) -> None:
    """Find lost records again: rounds, and which frames are out, from CVAT and the home."""
    from cvat_bridge.cli.console import progress_bars, silence
    from cvat_bridge.config import load_secrets
    from cvat_bridge.projects import load_project
    from cvat_bridge.recovery.command import restore_home, sentences

    loaded, secrets = load_project(config), load_secrets()
    with silence() if as_json else progress_bars(err) as report:
        outcome = restore_home(loaded, secrets, report=report)
    if as_json:
        aside = {str(old): str(new) for old, new in outcome.set_aside.items()}
        out.print_json(json.dumps({**asdict(outcome.restored), "set_aside": aside}))
        return
    for line in sentences(outcome):
        out.print(line, markup=False, highlight=False)
