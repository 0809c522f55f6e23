"""Every route of the sandbox."""

from __future__ import annotations

from cvat_bridge.sandbox import (
    auth,
    batches,
    data,
    functions,
    guides,
    intake,
    invocation,
    issues,
    jobs,
    labelling,
    labels,
    organizations,
    projects,
    requests,
    server,
    storages,
    tasks,
    tokens,
    users,
    validation,
    webhooks,
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
    webhooks,
    issues,
    guides,
    functions,
    invocation,
    batches,
    storages,
)
ROUTES = tuple(route for module in _MODULES for route in module.ROUTES)
