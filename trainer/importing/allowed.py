"""What a pickle of weights may name, and an unpickler that fetches nothing else.

The rules name single classes and functions, never a whole package: torch and ultralytics
themselves hold functions that run text and start programs. They are used twice, by the scan
before a file is opened and by the unpickler while it is, so that a file which shows the scan one
thing and torch another gains nothing. This module is what `torch.load(pickle_module=…)` takes.
"""

from __future__ import annotations

import pickle
import re
from typing import Any

_CLASS = r"[A-Z]\w*"
_PLAIN = r"set|frozenset|list|dict|tuple|int|float|bool|complex|str|bytes|bytearray|slice|object"
_RULES: tuple[tuple[str, str], ...] = (
    (r"torch\.nn\.modules(\.\w+)+", _CLASS),
    (r"torch\.nn\.parameter", "Parameter|Buffer"),
    (r"torch\._utils", r"_rebuild_(tensor|tensor_v2|parameter|parameter_with_state|qtensor)"),
    (r"torch\._tensor", "_rebuild_from_type_v2"),
    (r"torch", r"[A-Z]\w*Storage|Size|Tensor|device|dtype|b?float\d+|u?int\d+|bool|strided"),
    (r"torch\.storage", r"(Typed|Untyped)Storage"),
    # TorchVision fetches weights from the network when it is made.
    (r"ultralytics\.nn\.modules(\.\w+)*", rf"(?!TorchVision\b){_CLASS}"),
    (r"ultralytics\.nn\.tasks", r"[A-Z]\w*Model"),
    (r"ultralytics\.utils", "IterableSimpleNamespace"),
    (r"ultralytics\.utils\.(loss|tal)", _CLASS),
    (r"builtins|__builtin__", _PLAIN),
    (r"collections", "OrderedDict|defaultdict"),
    (r"numpy", "dtype|ndarray"),
    (r"numpy\._?core\.multiarray", "_reconstruct|scalar"),
    (r"_codecs", "encode"),
    (r"pathlib", r"(Pure)?(Posix|Windows)?Path"),
    (r"types", "SimpleNamespace"),
    (r"argparse", "Namespace"),
)


def allowed(module: str, name: str) -> bool:
    """Say whether a pickle of weights may fetch this; a dotted name is never one of them."""
    return any(re.fullmatch(m, module) and re.fullmatch(n, name) for m, n in _RULES)


class Unpickler(pickle.Unpickler):
    """Python's unpickler, which fetches what `allowed` names; UnpicklingError for all else."""

    def find_class(self, module: str, name: str, /) -> Any:
        """Return a class or function that was fetched from the module it lives in."""
        if not allowed(module, name):
            raise pickle.UnpicklingError(
                f"refused: opening it would run {module}.{name}, which no network needs"
            )
        found = super().find_class(module, name)
        # What a module of networks has itself imported from elsewhere is not a network.
        home = str(getattr(found, "__module__", module)).partition(".")[0]
        ours = isinstance(found, type) and module.startswith(("torch.", "ultralytics."))
        if ours and home not in ("torch", "ultralytics"):
            raise pickle.UnpicklingError(f"refused: {module}.{name} belongs to {home}")
        return found
