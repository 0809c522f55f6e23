"""`cvat-bridge worker` joins a service's work from any machine; `workers` says who is there."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cvat_bridge.secrecy import out

ConfigPath = Annotated[Path, typer.Option("--config", "-c", help="The YAML file of the service.")]
_DEFAULT = Path("cvat-bridge.yaml")


def worker(
    config: ConfigPath = _DEFAULT,
    queues: Annotated[
        str, typer.Option("--queues", help="Which work to take: fit, predict, or both.")
    ] = "fit,predict",
    device: Annotated[
        str, typer.Option("--device", help="On which fits learn: cpu, or a GPU as cuda:0.")
    ] = "cpu",
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of a model that reads frames; one a core unless given."),
    ] = None,
) -> None:
    """Take work of the service from this machine until stopped; one process a device."""
    from cvat_bridge.cli.display.logs import log_to_stderr
    from cvat_bridge.config import load_secrets
    from cvat_bridge.queues.presence import Worker
    from cvat_bridge.workers.process import work
    from cvat_bridge.workers.taking import chosen_queues, device_memory

    def ready(there: Worker) -> None:
        out.print_json(json.dumps({"event": "ready", **asdict(there)}))

    wanted = chosen_queues(queues)
    memory = device_memory(device)
    log_to_stderr(json_lines=False)
    work(
        config,
        load_secrets(),
        queues=wanted,
        device=device,
        memory=memory,
        threads=threads,
        ready=ready,
    )


def workers(
    config: ConfigPath = _DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")] = False,
) -> None:
    """Show which workers are there: machine, version, device, memory, and what each does."""
    from cvat_bridge.database.leases import Leases
    from cvat_bridge.projects import load_served
    from cvat_bridge.queues.presence import service_database
    from cvat_bridge.queues.presence import workers as who_is_there
    from cvat_bridge.workers.taking import in_words

    with service_database(load_served(config).shared) as database:
        there = who_is_there(Leases(database))
    if as_json:
        out.print_json(json.dumps([asdict(one) for one in there]))
        return
    for one in there:
        out.print(in_words(one), markup=False, highlight=False)
    if not there:
        out.print(
            "no workers: everything is done by the service itself", markup=False, highlight=False
        )
