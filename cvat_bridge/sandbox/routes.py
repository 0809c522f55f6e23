"""Every route of the sandbox."""

from __future__ import annotations

from cvat_bridge.sandbox import (
    auth,
    data,
    intake,
    jobs,
    labelling,
    labels,
    organizations,
    projects,
    requests,
    server,
    tasks,
    tokens,
    users,
    validation,
)

_MODULES = (
    auth,
    server,
    users,
    tokens,
    organizations,
    projects,
    labels,
    tasks,
    intake,
    data,
    jobs,
    validation,
    labelling,
    requests,
)
ROUTES = tuple(route for module in _MODULES for route in module.ROUTES)
