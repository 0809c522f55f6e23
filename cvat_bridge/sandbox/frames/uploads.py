"""How files come: CVAT's Upload-Start, Upload-Multiple, Upload-Finish, and TUS in between."""

from __future__ import annotations

import base64
import binascii
import uuid
from pathlib import Path, PurePosixPath

from cvat_bridge.sandbox.store.state import Row
from cvat_bridge.sandbox.web.call import Answer, Call, Upload
from cvat_bridge.sandbox.web.errors import ApiError, invalid, not_found

_TUS = {
    "Tus-Resumable": "1.0.0",
    "Tus-Version": "1.0.0",
    "Tus-Extension": "",
    "Tus-Max-Size": "26843545600",
    "Cache-Control": "no-store",
    "Access-Control-Expose-Headers": "Location, Upload-Offset, Upload-Filename",
}


def options(_call: Call, **_: object) -> Answer:
    """Say that we speak TUS."""
    return Answer(204, headers=_TUS)


def folder(call: Call, owner: str) -> Path:
    """Return the folder that collects the files of one owner, such as `task-7`."""
    return call.state.path("uploads", owner)


def safe_name(name: str) -> str:
    """Return a relative path that stays inside its folder; ApiError otherwise."""
    path = PurePosixPath(name.replace("\\", "/"))
    if ".." in path.parts or not path.parts:
        raise invalid({"client_files": [{"file": ["path contains a '..' segment"]}]})
    return str(path.relative_to("/") if path.is_absolute() else path)


def keep(call: Call, owner: str, files: tuple[Upload, ...]) -> list[str]:
    """Store the files of a multipart form; only the base name of a path counts."""
    names = []
    for file in files:
        name = PurePosixPath(safe_name(file.filename)).name
        folder(call, owner).joinpath(name).write_bytes(file.content)
        names.append(name)
    return names


def begin(call: Call, owner: str) -> Answer:
    """Start one TUS upload."""
    metadata: dict[str, str] = {}
    for part in call.headers.get("upload-metadata", "").split(","):
        key, _, value = part.strip().partition(" ")
        try:
            metadata[key] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise invalid("Upload-Metadata is not base64") from error
    length = call.headers.get("upload-length", "")
    if not length.isdigit() or "filename" not in metadata:
        raise ApiError(400, None)
    name = safe_name(metadata["filename"])
    file_id = f"{call.user['id']}_{uuid.uuid4()}"
    path = folder(call, owner) / f".tus-{file_id}"
    path.write_bytes(b"")
    call.db.insert(
        "upload", id=file_id, owner=owner, filename=name, length=int(length), path=str(path)
    )
    if int(length) == 0:
        _settle(call, call.db.get("upload", file_id) or {})
    location = call.url(f"{call.path.rstrip('/')}/{file_id}")
    return Answer(201, headers={**_TUS, "Location": location, "Upload-Filename": name})


def _found(call: Call, owner: str, file_id: str) -> Row:
    row = call.db.get("upload", file_id)
    if row is None or row["owner"] != owner:
        raise not_found("upload")
    return row


def _settle(call: Call, row: Row) -> None:
    target = folder(call, row["owner"]) / row["filename"]
    target.parent.mkdir(parents=True, exist_ok=True)
    Path(row["path"]).replace(target)
    call.db.run("DELETE FROM upload WHERE id = ?", row["id"])


def append(call: Call, owner: str, file_id: str) -> Answer:
    """Take the next piece of a TUS upload; 409 when it is not the next."""
    row = _found(call, owner, file_id)
    path = Path(row["path"])
    offset = path.stat().st_size
    if call.headers.get("upload-offset") != str(offset):
        return Answer(409, headers={**_TUS, "Upload-Offset": str(offset)})
    if offset + len(call.content) > row["length"]:
        return Answer(413, headers=_TUS)
    with path.open("ab") as file:
        file.write(call.content)
    offset += len(call.content)
    if offset == row["length"]:
        _settle(call, row)
    return Answer(
        204, headers={**_TUS, "Upload-Offset": str(offset), "Upload-Filename": row["filename"]}
    )


def progress(call: Call, owner: str, file_id: str) -> Answer:
    """Return how much of a TUS upload has come."""
    row = _found(call, owner, file_id)
    offset = Path(row["path"]).stat().st_size
    return Answer(
        200, headers={**_TUS, "Upload-Offset": str(offset), "Upload-Length": str(row["length"])}
    )
