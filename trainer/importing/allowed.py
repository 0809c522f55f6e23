"""The allow-list of what a pickle of weights may reference.

The rules name single classes and functions, never a whole package: torch and ultralytics themselves
contain functions that run code and start programs. The scan applies them before a file is opened;
torch's own weights_only, which opens it, has an allow-list of its own in addition.
"""

from __future__ import annotations

import re

_CLASS = r"[A-Z]\w*"
_PLAIN = r"set|frozenset|list|dict|tuple|int|float|bool|complex|str|bytes|bytearray|slice|object"
_RULES: tuple[tuple[str, str], ...] = (
    (r"torch\.nn\.modules(\.\w+)+", _CLASS),
    (r"torch\.nn\.parameter", "Parameter|Buffer"),
    (r"torch\._utils", r"_rebuild_(tensor|tensor_v2|parameter|parameter_with_state|qtensor)"),
    (r"torch\._tensor", "_rebuild_from_type_v2"),
    (r"torch", r"[A-Z]\w*Storage|Size|Tensor|device|dtype|b?float\d+|u?int\d+|bool|strided"),
    (r"torch\.storage", r"(Typed|Untyped)Storage"),
    # TorchVision downloads weights when it is instantiated.
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
    """Return whether a pickle of weights may reference this name; dotted names never."""
    return any(re.fullmatch(m, module) and re.fullmatch(n, name) for m, n in _RULES)
