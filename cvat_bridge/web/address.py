"""Where the page is."""

from __future__ import annotations

import httpx

from cvat_bridge.config import Config

_SECONDS = 3.0


def page_address(config: Config) -> str:
    """Return the page's address: page.public_url, else the one for a browser on this machine."""
    page = config.page
    if page.public_url:
        return f"{page.public_url.rstrip('/')}/"
    host = config.service.host
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - not listened on
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{config.service.port}{page.prefix}/"


def page_answers(address: str) -> bool:
    """Whether a page answers there within seconds."""
    try:
        answer = httpx.get(address, timeout=_SECONDS)
    except httpx.HTTPError:
        return False
    return answer.status_code < 400
