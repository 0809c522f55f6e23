"""Whether anything listens at an address, known within seconds, before anybody waits for it."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from cvat_bridge.errors import UnreachableError

_SECONDS = 4.0


def check_reachable(url: str, *, seconds: float = _SECONDS) -> None:
    """Raise UnreachableError when no connection to the server can be opened in so many seconds.

    A server that is slow to answer passes: only the connection is tried. Behind a proxy, which
    connects in our place, nothing is tried.
    """
    parts = urlsplit(url)
    proxied = {parts.scheme, "all"} & getproxies().keys()
    if not parts.hostname or (proxied and not proxy_bypass(parts.netloc)):
        return
    host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    trouble: list[str] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds / 2).close()
        except OSError as error:
            trouble.append(error.strerror or str(error) or type(error).__name__)
        else:
            trouble.append("")

    # In a thread: the name service has no limit of its own.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    found = trouble[0] if trouble else f"no connection within {seconds:g} s"
    if found:
        raise UnreachableError(
            "open a connection to",
            f"{host}:{port}",
            None,
            found,
            "Is the address right, is CVAT up, and may this machine reach it?",
        )
