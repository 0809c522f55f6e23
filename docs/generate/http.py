"""The reference of HTTP, from the two web applications."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from cvat_bridge.config import PageSection
from cvat_bridge.service.figures import LoopFigures
from cvat_bridge.service.run_events import add_run_routes
from cvat_bridge.service.service import make_app
from cvat_bridge.web.page import Page
from cvat_bridge.web.routes.json_api import api_routes
from docs.generate.tables import code, table
from serverless.host.app import HostSettings, create_app

INTRODUCTION = """# HTTP

`cvat-bridge run` and the function host listen on loopback unless the configuration says
otherwise. Nobody signs in to them, the page apart: keep them in a network that only CVAT and your
own machines reach. A webhook is believed only with CVAT's signature. To the page people sign in
with their CVAT account; its JSON routes also take a personal access token of CVAT as
`Authorization: Bearer`.
"""


@dataclass(frozen=True)
class Endpoint:
    """One route. server: of INTRODUCTION's two. text: what its docstring says."""

    server: str
    method: str
    path: str
    text: str


def endpoints() -> Iterator[Endpoint]:
    """Give every route of both servers."""
    registry = LoopFigures(CollectorRegistry()).registry
    bridge = make_app(dict, registry=registry, secret="", token="")
    add_run_routes(bridge, list, token="")
    host = create_app(Path("functions"), HostSettings())
    page = api_routes(cast("Page", None))  # no route is called here
    for server, prefix, routes in (
        ("cvat-bridge run", "", bridge.routes),
        ("the page of cvat-bridge run", PageSection().prefix, page.routes),
        ("python -m serverless.host", "", host.routes),
    ):
        for route in routes:
            if isinstance(route, (APIRoute, Route)):
                text = " ".join((inspect.getdoc(route.endpoint) or "").split())
                for method in sorted((route.methods or set()) - {"HEAD"}):
                    yield Endpoint(server, method, prefix + route.path, text)


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    found = list(endpoints())
    for server in dict.fromkeys(one.server for one in found):
        rows = [(one.method, code(one.path), one.text) for one in found if one.server == server]
        parts.append(f"## {server}\n\n{table(('method', 'path', 'what it does'), rows)}\n")
    return "\n".join(parts)
