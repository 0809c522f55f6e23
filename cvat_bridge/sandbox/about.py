"""What the server says of itself."""

from __future__ import annotations

from cvat_bridge.sandbox.web.call import Answer, Call, Route


def _about(call: Call) -> Answer:
    return Answer(
        200,
        {
            "name": "Computer Vision Annotation Tool",
            "description": "A small stand-in for a CVAT server, for tests and demos.",
            "version": call.state.version,
            "logo_url": call.url("/static/logo.svg"),
            "subtitle": "Open Data Annotation Platform",
        },
    )


def _plugins(call: Call) -> Answer:
    return Answer(200, {"ANALYTICS": call.state.analytics, "MODELS": True})


def _health(_call: Call) -> Answer:
    return Answer(200, {"DatabaseBackend": "working", "DiskUsage": "working"})


ROUTES = (
    Route("GET", "/api/server/about", _about, public=True),
    Route("GET", "/api/server/health", _health, public=True),
    Route("GET", "/api/server/plugins", _plugins),
)
