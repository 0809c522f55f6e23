"""What Nuclio's wrapper does with a written folder: load it, then answer requests a line each.

python worker.py    in the folder; prints `ready`, then the size of each answer
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys


def main() -> None:
    """Answer until standard input ends."""
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    import nuclio_sdk

    function = importlib.import_module("main")
    context = nuclio_sdk.Context(logger=nuclio_sdk.Logger(level=logging.CRITICAL))
    function.init_context(context)
    print("ready", flush=True)
    for line in sys.stdin:
        event = nuclio_sdk.Event(body=json.loads(line), content_type="application/json")
        output = function.handler(context, event)
        if output.status_code != 200:
            raise ValueError(output.body)
        print(len(output.body), flush=True)


if __name__ == "__main__":
    main()
