"""The command line of the function host."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from serverless.host.app import ISOLATIONS, HostSettings
from serverless.host.connections import Bounds

UPSTREAM = "CVAT_FUNCTIONS_UPSTREAM"  # the environment's word for --upstream
SHARED = "CVAT_FUNCTIONS_SHARED"  # and for --shared
_DEFAULTS = HostSettings()
_BOUNDS = Bounds()


def parser(description: str = "") -> argparse.ArgumentParser:
    """Return the parser. description: shown above the options."""
    made = argparse.ArgumentParser(
        prog="cvat-functions",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--store", type=Path, required=True, help="folder of published functions")
    made.add_argument(
        "--shared",
        default=os.environ.get(SHARED),
        metavar="ADDRESS",
        help="store of artefacts that the bridge publishes to (a folder or s3://bucket/path, its"
        f" `store` setting); --store is then this machine's copy of it. {SHARED} says it, too",
    )
    made.add_argument(
        "--follow-seconds",
        type=float,
        default=_DEFAULTS.follow_seconds,
        help="seconds between two looks at the shared store",
    )
    made.add_argument("--host", default="127.0.0.1", help="address to listen on")
    made.add_argument("--port", type=int, default=_DEFAULTS.port, help="0 takes a free one")
    made.add_argument(
        "--upstream",
        default=os.environ.get(UPSTREAM),
        help=f"URL of a Nuclio dashboard to merge with; {UPSTREAM} says it too, where everybody on"
        " the machine must not read its password in the list of processes",
    )
    made.add_argument(
        "--isolation",
        choices=ISOLATIONS,
        default=_DEFAULTS.isolation,
        help="a process for each model, one shared by all, or none: then a model can end the host",
    )
    made.add_argument(
        "--group",
        type=_group,
        action="append",
        default=[],
        metavar="NAME=ID,ID",
        help="functions that share one process, * stands for any letters: 'small=cells,leaf-*'."
        " It saves memory, and one of them that crashes or hangs costs the others a restart",
    )
    made.add_argument(
        "--memory-bytes",
        type=int,
        default=_DEFAULTS.memory_bytes,
        help="memory of all models; those used longest ago are let go",
    )
    made.add_argument(
        "--model-memory-bytes",
        type=int,
        help="memory of one model's process, which is ended beyond it; as much as all unless given",
    )
    made.add_argument(
        "--call-timeout", type=float, default=_DEFAULTS.call_seconds, help="seconds a call may take"
    )
    made.add_argument(
        "--load-timeout",
        type=float,
        default=_DEFAULTS.load_seconds,
        help="seconds that loading a model may take",
    )
    made.add_argument("--model-threads", type=int, help="threads of one run of a model")
    made.add_argument(
        "--max-batch", type=int, default=_DEFAULTS.max_batch, help="images of one run of a model"
    )
    made.add_argument(
        "--max-connections",
        type=int,
        default=_BOUNDS.connections,
        help="connections open at once, half of them of one address; others are answered 503",
    )
    made.add_argument(
        "--head-timeout",
        type=float,
        default=_BOUNDS.head_seconds,
        help="seconds until the headers of a request must be there",
    )
    made.add_argument("--no-builtin", action="store_true", help="offer the store's functions only")
    made.add_argument(
        "--listen-anyway", action="store_true", help="listen on every address of the machine"
    )
    return made


def _group(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, ids = text.partition("=")
    patterns = tuple(one.strip() for one in ids.split(",") if one.strip())
    if not (name.strip() and equals and patterns):
        raise argparse.ArgumentTypeError(f"expected NAME=ID,ID, found {text!r}")
    return name.strip(), patterns
