"""Import bundles from outside: a folder, or a zip of one."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path

from trainer.bundles.bundle import CARD, Bundle, read_bundle
from trainer.engines import names
from trainer.errors import BundleError, ConfigError, ModelFileError
from trainer.importing.request import ImportRequest

_MOST_FILES = 100
_MOST_BYTES = 4 << 30  # unpacked size of a zip


def from_folder(request: ImportRequest, destination: Path) -> Bundle:
    """Copy a bundle's folder after verifying its hashes."""
    found = read_bundle(request.path)
    if request.labels is not None and request.labels != found.card.labels.names:
        raise ConfigError(
            [f"{request.path}: a bundle defines its own classes: {', '.join(found.card.labels)}"]
        )
    if found.card.engine not in names():
        raise BundleError(request.path, f"an engine of {', '.join(names())}", found.card.engine)
    destination.mkdir(parents=True)
    for name in (CARD, *found.card.files):
        shutil.copyfile(found.path / name, destination / name)
    return read_bundle(destination, version=found.version)


def from_zip(request: ImportRequest, destination: Path) -> Bundle:
    """Unpack a zipped bundle; paths outside its folder are rejected."""
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(request.path) as archive:
        rows = [row for row in archive.infolist() if not row.is_dir()]
        cards = [row.filename for row in rows if row.filename.rsplit("/", 1)[-1] == CARD]
        if len(cards) != 1:
            raise ModelFileError(request.path, f"expected one {CARD}, found {len(cards)}")
        top = cards[0][: -len(CARD)]
        size = sum(row.file_size for row in rows)
        if size > _MOST_BYTES or len(rows) > _MOST_FILES:
            raise ModelFileError(
                request.path, f"unpacks to {size} bytes in {len(rows)} files, more than allowed"
            )
        strange = [r.filename for r in rows if r.filename != top + Path(r.filename).name]
        if strange:
            raise ModelFileError(request.path, f"contains paths outside the bundle: {strange[0]!r}")
        for row in rows:
            target = Path(scratch) / Path(row.filename).name
            with archive.open(row) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
        inner = ImportRequest(Path(scratch), request.name, request.labels)
        return from_folder(inner, destination)
