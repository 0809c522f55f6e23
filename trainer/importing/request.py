"""What people say about a file that they bring."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trainer.data.files import file_sha256
from trainer.data.images import RGBImage
from trainer.errors import ModelFileError


@dataclass(frozen=True)
class ImportRequest:
    """One file to take in.

    path: the file, or a bundle's folder. name: what people will call the model. labels: class
    names in the network's order, or None to read them from the file. sha256: what the file must
    hash to, "" for unsaid. card: a YAML that describes an ONNX file of another family. hidden:
    folders that a process which opens a pickle must not see. trusted: open a pickle even where
    the system cannot cut that process off. architecture: the network of a file that holds weights
    alone, a name of torchvision's. sample: a picture (H, W, 3) to look at its answers on.
    """

    path: Path
    name: str
    labels: tuple[str, ...] | None = None
    sha256: str = ""
    card: Path | None = None
    hidden: tuple[Path, ...] = ()
    trusted: bool = False
    architecture: str = ""
    sample: RGBImage | None = field(default=None, compare=False)

    def check_sha256(self, copy: Path | None = None) -> None:
        """Raise ModelFileError when the file, or a copy of it, is not the one that was meant."""
        where = copy or self.path
        if not self.sha256:
            return
        found = "a folder, which has none" if where.is_dir() else file_sha256(where)
        if found != self.sha256.strip().lower():
            raise ModelFileError(
                self.path,
                f"expected sha256 {self.sha256.strip().lower()}, found {found}",
                "Fetch the file again, or ask who gave you the number",
            )
