"""Serving the sandbox in this process."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from cvat_bridge.sandbox.accounts import tokens
from cvat_bridge.sandbox.accounts import users as accounts
from cvat_bridge.sandbox.accounts.users import SandboxUser
from cvat_bridge.sandbox.app import build
from cvat_bridge.sandbox.store.state import VERSION, State

DEFAULT_USERS = (SandboxUser("admin", "sandbox-admin", is_admin=True),)


def serve(
    *,
    data_dir: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    users: Sequence[SandboxUser] | None = None,
    function_host: str | None = None,
    share: Path | None = None,
    version: str = VERSION,
    analytics: bool = False,
) -> None:
    """Serve until interrupted; the first line on stdout is JSON: url, admin, password, token.

    data_dir keeps everything between runs. users are made if they do not exist (an admin always
    is). function_host is the URL of what answers in Nuclio's place. share is the folder of
    server files. version: of CVAT, as which it answers where that makes a difference. analytics:
    whether it keeps the editor's events, as CVAT does where its ClickHouse runs.
    """
    import uvicorn

    state = State(
        data_dir, share=share, function_host=function_host, version=version, analytics=analytics
    )
    wanted = tuple(users or ())
    if not any(user.is_admin for user in wanted):
        wanted = (*DEFAULT_USERS, *wanted)
    accounts.ensure(state, wanted)
    admin = next(user for user in wanted if user.is_admin)
    row = state.db.one("SELECT id FROM user WHERE username = ?", admin.username) or {}
    token = _kept_token(state, data_dir / "admin.token", int(row["id"]))
    # with the protocol named, asyncio turns Nagle's algorithm off: 40 ms a request otherwise
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    url = f"http://{host}:{listener.getsockname()[1]}"
    config = uvicorn.Config(build(state), log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    listener.listen(128)
    ready = {"url": url, "admin": admin.username, "password": admin.password, "token": token}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listener])


def _kept_token(state: State, path: Path, user: int) -> str:
    """Return the admin's token of the last start, or a new one that later starts keep."""
    if path.is_file() and (kept := path.read_text(encoding="ascii").strip()):
        return kept
    _, token = tokens.issue(state, user, "sandbox", read_only=False, expires=None)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(token)
    return token
