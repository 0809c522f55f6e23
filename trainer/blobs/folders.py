"""Whole folders in a store: a list of files by content, itself a file by content.

Equal folders have one name on every machine, and files that two folders share are stored once.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from trainer.blobs.errors import BlobDamagedError
from trainer.blobs.store import BlobStore

_FORMAT = "folder/1"
_AT_ONCE = 8  # files under way


def put_folder(
    store: BlobStore, folder: Path, *, wanted: Callable[[str], bool] = lambda _name: True
) -> str:
    """Store the files of a folder and return the name of their list.

    wanted: says by its path within the folder whether a file belongs to it. Raises BlobError, and
    OSError for a file that cannot be read.
    """
    paths = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    chosen = {name: path for name, path in paths.items() if wanted(name)}
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="put") as pool:
        hashes = dict(zip(chosen, pool.map(store.put_file, chosen.values()), strict=True))
    content = {"format": _FORMAT, "files": hashes}
    # The list is written last: whoever finds it finds every file of it.
    return store.put(json.dumps(content, sort_keys=True, indent=0).encode())


def files_of(store: BlobStore, name: str) -> Mapping[str, str]:
    """Return path within the folder → sha256, of a folder that was put under this name.

    Raises BlobMissingError, and BlobDamagedError for what is no such list.
    """
    content = store.read(name)
    try:
        values = json.loads(content)
        found = values["format"]
        files = {str(path): str(sha256) for path, sha256 in values["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BlobDamagedError(f"{store}: {name}", f"is no list of files ({error})") from error
    if found != _FORMAT:
        raise BlobDamagedError(f"{store}: {name}", f"has format {found!r}, {_FORMAT!r} is due")
    for path in files:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise BlobDamagedError(
                f"{store}: {name}", f"{path!r} leaves its folder; this list was not written by us"
            )
    return files


def fetch_folder(store: BlobStore, name: str, destination: Path) -> Path:
    """Copy a folder to destination, whole or not at all; one that is there is left as it is.

    Raises BlobMissingError, BlobDamagedError and BlobError.
    """
    if destination.is_dir():
        return destination
    files = files_of(store, name)
    destination.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".fetch-{destination.name}-", dir=destination.parent))
    try:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch") as pool:
            list(pool.map(lambda row: store.fetch(row[1], scratch / row[0]), files.items()))
        scratch.chmod(0o755)
        try:
            scratch.rename(destination)
        except OSError:
            if not destination.is_dir():  # else another process was faster, with equal content
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return destination
