"""`python -m cvat_bridge.sandbox`: the sandbox as a process."""

from __future__ import annotations

import argparse
from pathlib import Path

from cvat_bridge.sandbox import SandboxUser, serve
from cvat_bridge.sandbox.store.state import VERSION


def _user(text: str) -> SandboxUser:
    name, _, rest = text.partition(":")
    password, _, role = rest.rpartition(":")
    if not name or not password or role not in {"admin", "user"}:
        raise argparse.ArgumentTypeError(f"a user is NAME:PASSWORD:admin|user, got {text!r}")
    return SandboxUser(name, password, is_admin=role == "admin")


def main() -> None:
    """Serve the sandbox as the arguments say."""
    parser = argparse.ArgumentParser(prog="cvat_bridge.sandbox", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", type=_user, action="append", default=[], dest="users")
    parser.add_argument("--function-host")
    parser.add_argument("--share", type=Path)
    parser.add_argument("--version", default=VERSION, help="of CVAT, as which it answers")
    parser.add_argument("--analytics", action="store_true", help="keep the editor's events")
    given = parser.parse_args()
    serve(
        data_dir=given.data,
        host=given.host,
        port=given.port,
        users=given.users,
        function_host=given.function_host,
        share=given.share,
        version=given.version,
        analytics=given.analytics,
    )


if __name__ == "__main__":
    main()
