"""Every route of the sandbox, and how each resource is shown to webhooks."""

from __future__ import annotations

from cvat_bridge.sandbox import about
from cvat_bridge.sandbox.accounts import auth, members, organizations, tokens, users
from cvat_bridge.sandbox.analytics import events as analytics
from cvat_bridge.sandbox.annotations import labelling
from cvat_bridge.sandbox.frames import data, data_meta, intake, requests, storages, validation
from cvat_bridge.sandbox.models import batches, functions, invocation
from cvat_bridge.sandbox.notifications import events, webhooks
from cvat_bridge.sandbox.resources import guides, issues, jobs, labels, projects, tasks

_MODULES = (
    auth,
    about,
    users,
    tokens,
    organizations,
    projects,
    labels,
    tasks,
    intake,
    data,
    data_meta,
    members,
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
    analytics,
)
# A webhook carries an object as its endpoint shows it.
events.show(
    project=projects.view,
    task=tasks.view,
    job=jobs.view,
    issue=issues.view,
    comment=issues.comment_view,
    request=requests.view,
)
ROUTES = tuple(route for module in _MODULES for route in module.ROUTES)
