"""The request to import a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trainer.data.files import file_sha256
from trainer.data.images import RGBImage
from trainer.errors import ModelFileError


@dataclass(frozen=True)
class ImportRequest:
    """One file to import.

    path: the file, or a bundle's folder. name: display name of the model. labels: class names in
    the network's order, or None to read them from the file. sha256: expected hash of the file, ""
    if not stated. card: a YAML that describes an ONNX file of another family. hidden: folders that
    a process which opens a pickle must not see. trusted: open a pickle even if the system cannot
    sandbox the process. architecture: the network of a file that contains only weights, a
    torchvision name. sample: an image (H, W, 3) to check its outputs on.
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
        """Raise ModelFileError when the file, or a copy of it, does not have the stated sha256."""
        where = copy or self.path
        if not self.sha256:
            return
        found = "a folder, which has none" if where.is_dir() else file_sha256(where)
        if found != self.sha256.strip().lower():
            raise ModelFileError(
                self.path,
                f"expected sha256 {self.sha256.strip().lower()}, found {found}",
                "Download the file again, or ask the source of the number",
            )
