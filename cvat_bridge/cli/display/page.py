"""`cvat-bridge open`: where the page is."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from cvat_bridge.errors import ConfigError
from cvat_bridge.secrecy import out


def open_(
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
    ] = Path("cvat-bridge.yaml"),
    browser: Annotated[bool, typer.Option(help="Also open it in the browser.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
) -> None:
    """Print the address of the page, where people see what the model does, and open it."""
    from cvat_bridge.projects import load_served
    from cvat_bridge.web.address import page_address, page_answers

    shared = load_served(config).shared
    if not shared.page.enabled:
        raise ConfigError([f"{config}: page.enabled is false, so there is no page"])
    address = page_address(shared)
    answers = page_answers(address)
    if as_json:
        out.print_json(json.dumps({"address": address, "answers": answers}))
    else:
        out.print(address, markup=False, highlight=False)
        if not answers:
            out.print(
                "nothing answers there: start the service with `cvat-bridge run` or "
                "`cvat-bridge up`",
                markup=False,
            )
    if not answers:
        raise typer.Exit(1)
    if browser and not as_json:
        webbrowser.open(address)
