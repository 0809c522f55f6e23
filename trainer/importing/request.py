"""What people say about a file that they bring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Request:
    """One file to take in.

    path: the file, or a bundle's folder. name: what people will call the model. labels: class
    names in the network's order, or None to read them from the file. sha256: what the file must
    hash to, "" for unsaid. card: a YAML that describes an ONNX file of another family. hidden:
    folders that a process which opens a pickle must not see.
    """

    path: Path
    name: str
    labels: tuple[str, ...] | None = None
    sha256: str = ""
    card: Path | None = None
    hidden: tuple[Path, ...] = ()
