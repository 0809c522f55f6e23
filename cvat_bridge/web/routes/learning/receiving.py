"""A form with files, streamed to disk as it comes in, with a bound on all of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from cvat_bridge.web.page import RefusedError

_AT_ONCE = 1 << 20  # bytes that are gathered before they are written
_SPARE = 1 << 30  # bytes of disk that stay free
_NAME = re.compile(r"[^\w. -]+")


@dataclass
class Received:
    """fields: texts by name. files: of each file field its path in the folder; none for empty."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


async def receive(
    stream: AsyncIterator[bytes], content_type: str, folder: Path, *, length: int
) -> Received:
    """Write the files of a multipart form into a new folder.

    length: bytes that are announced. Raises RefusedError for a disk that is too full and for what
    is no such form; then the folder is gone.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise RefusedError(415, "A form with files is expected (multipart/form-data).")
    await run_in_threadpool(folder.mkdir, mode=0o700, parents=True)
    try:
        _check_disk(folder, length)
        return await _receive(stream, options[b"boundary"], folder, length)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


async def _receive(
    stream: AsyncIterator[bytes], boundary: bytes, folder: Path, length: int
) -> Received:
    found, files = Received(), list[File]()

    def on_field(one: Field) -> None:
        name = (one.field_name or b"").decode("utf-8", "replace")
        found.fields[name] = (one.value or b"").decode("utf-8", "replace")

    parser = FormParser(
        "multipart/form-data",
        on_field,
        files.append,
        boundary=boundary,
        config={
            "UPLOAD_DIR": str(folder),
            "UPLOAD_DELETE_TMP": False,
            "MAX_MEMORY_FILE_SIZE": _AT_ONCE,
            "MAX_BODY_SIZE": float(length),
        },
    )
    held = bytearray()
    try:
        async for chunk in stream:
            held += chunk
            if len(held) >= _AT_ONCE:
                await run_in_threadpool(parser.write, bytes(held))
                held.clear()
        await run_in_threadpool(parser.write, bytes(held))
        parser.finalize()
    except FormParserError as error:
        raise RefusedError(422, f"The form did not come in whole: {error}.") from error
    for one in files:
        await run_in_threadpool(_place, one, folder, found)
    return found


def _place(one: File, folder: Path, found: Received) -> None:
    """Rename a file to what its sender calls it, without folders; drop an empty one."""
    sent = Path((one.file_name or b"").decode("utf-8", "replace").replace("\\", "/")).name
    one.flush_to_disk()
    one.close()
    path = Path((one.actual_file_name or b"").decode())
    name = _NAME.sub("_", sent).strip(". ")[:100]
    if not name or not one.size:
        path.unlink(missing_ok=True)
        return
    field_name = (one.field_name or b"").decode("utf-8", "replace")
    target = folder / name
    if target.exists():
        target = folder / f"{len(found.files)}-{name}"
    path.rename(target)
    found.files[field_name] = target


def _check_disk(folder: Path, length: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < length + _SPARE:
        raise RefusedError(
            507,
            f"The disk has {free / 1e9:.1f} GB free, too little for a file of {length / 1e9:.1f} "
            "GB.",
            "An engineer can free some space, or move the home to a larger disk.",
        )
