"""Where errors become one line and an exit code; what nobody foresaw keeps its trace, no secret."""

from __future__ import annotations

import sys
import threading
import traceback
from typing import NoReturn

from rich.console import Console

from active_learning.errors import ActiveLearningError
from cvat_bridge.errors import BridgeError, ConfigError, NothingToDoError
from cvat_bridge.secrecy import without_secrets
from serverless.errors import FunctionError
from trainer.errors import ConfigError as FitConfigError
from trainer.errors import TrainerError
from trainer.machine.storage_faults import storage_fault

KNOWN_ERRORS = (BridgeError, TrainerError, ActiveLearningError, FunctionError)


def exit_with_error(error: Exception, err: Console) -> NoReturn:
    """Return what went wrong and end: 3 nothing to do, 2 wrong use, 1 any other failure."""
    if isinstance(error, NothingToDoError):
        err.print(f"nothing to do: {without_secrets(str(error))}", markup=False)
        sys.exit(3)
    fault = storage_fault(error)
    if isinstance(error, KNOWN_ERRORS):
        text = str(error) if fault is None or fault in str(error) else f"{error} ({fault})"
    elif fault is not None:
        text = f"the disk refused: {fault}"
    else:
        sys.stderr.write(without_secrets("".join(traceback.format_exception(error))))
        text = f"not foreseen, please report it with the lines above: {type(error).__name__}"
    err.print(f"error: {without_secrets(text)}", markup=False, style="red")
    sys.exit(2 if isinstance(error, (ConfigError, FitConfigError)) else 1)


def hide_in_threads() -> None:
    """Hide secrets in the trace of a thread that fails as well."""

    def log_failure(failed: threading.ExceptHookArgs) -> None:
        lines = traceback.format_exception(failed.exc_type, failed.exc_value, failed.exc_traceback)
        name = failed.thread.name if failed.thread else "a thread"
        sys.stderr.write(f"in {name}:\n" + without_secrets("".join(lines)))

    threading.excepthook = log_failure
