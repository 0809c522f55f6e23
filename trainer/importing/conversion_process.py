"""The process that opens a pickle: `python -m trainer.importing.conversion_process JSON`.

JSON is the request. If it fails, its last line on stderr is the reason.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from pathlib import Path

from trainer.errors import TrainerError
from trainer.machine.portable import limit

_CPU_SECONDS = 1200
_FILE_BYTES = 4 << 30
_MEMORY_BYTES = 24 << 30  # address space: torch reserves far more than it uses


def main() -> int:
    """Convert the file of the request."""
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    limit(resource.RLIMIT_CPU, _CPU_SECONDS)
    limit(resource.RLIMIT_FSIZE, _FILE_BYTES)
    limit(resource.RLIMIT_AS, _MEMORY_BYTES)
    limit(resource.RLIMIT_CORE, 0)
    labels = None if asked["labels"] is None else tuple(asked["labels"])
    named = {"architecture": asked["architecture"]} if asked["architecture"] else {}
    try:
        convert = importlib.import_module(asked["module"]).convert
        convert(Path(asked["file"]), Path(asked["out"]), name=asked["name"], labels=labels, **named)
    except TrainerError as error:
        print(str(error).replace(asked["file"], asked["shown"]).replace("\n", " "), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
