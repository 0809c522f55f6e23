"""The screens *Groups of assets*: the list, one group, making one, and exports."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from cvat_bridge.errors import ConfigError
from cvat_bridge.groups.exporting import exported_file
from cvat_bridge.groups.making import GroupRequest, find_group, make_group
from cvat_bridge.ledger.page_records import AssetGroup
from cvat_bridge.web.background.work_queue import WorkItem
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.routes.request_models import no_such_part
from cvat_bridge.web.screens.insight.groups import (
    PAGE,
    GroupRow,
    GroupScreen,
    group_rows,
    group_screen,
    snapshots_of,
)
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.visits import Visit, acting, check_form, visit


class AskedGroup(BaseModel):
    """A group to make; see GroupRequest for what each kind reads."""

    model_config = ConfigDict(extra="forbid")

    name: str
    kind: Literal["snapshot", "holdout", "slice", "search", "frames"]
    snapshot: str = ""
    model: str = ""
    source: Literal["holdout", "control", "corrected"] = "holdout"
    where: str = ""
    threshold: float | None = None
    frames: list[str] = Field(default_factory=list)


class GroupForm(AskedGroup):
    """The same from a form, which leaves out what is empty."""

    model_config = ConfigDict(extra="ignore")

    csrf: str = ""


class AskedExport(BaseModel):
    """An export to write. version: the newest unless given."""

    model_config = ConfigDict(extra="forbid")

    form: Literal["coco", "yolo"] = "coco"
    version: int | None = None


def groups_routes(page: Page) -> APIRouter:
    """Offer the screens, their JSON and the files."""
    routes = APIRouter()

    def show(request: Request, found: Visit, template: str, **values: Any) -> Response:
        values |= {"visit": found, "bar": bar(found.site, found.name), "tab": "groups"}
        return render(page, request, template, session=found.session, **values)

    def export(found: Visit, name: str, version: int | None, form: str) -> WorkItem:
        group = group_of(found, name, version)
        asked = {"name": group.name, "version": group.version, "form": form}
        queue = page.work_queue(found.site)
        for one in queue.all():
            if one.going and one.kind == "export" and one.asked == asked:
                return one
        who, now = found.session.person.username, found.site.parts.now()
        return queue.ask(secrets.token_hex(16), "export", asked, who=who, now=now)

    @routes.get("/projects/{project_id}/groups", include_in_schema=False)
    def shown(request: Request, project_id: int) -> Response:
        found = visit(page, request, project_id)
        return show(
            request,
            found,
            "insight/groups.html",
            rows=group_rows(found.site),
            snapshots=snapshots_of(found.site),
        )

    @routes.post("/projects/{project_id}/groups", include_in_schema=False)
    def make(request: Request, project_id: int, form: Annotated[GroupForm, Form()]) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, form.csrf)
        row = _make(acting(found), form)
        page.notify(found.session, f"{row.name}, version {row.version}: {len(row.frames)} frames.")
        where = f"/projects/{project_id}/groups/{quote(row.name, safe='')}"
        return RedirectResponse(page.at(where), 303)

    @routes.get("/projects/{project_id}/groups/{name}", include_in_schema=False)
    def one(
        request: Request, project_id: int, name: str, version: int | None = None, start: int = 0
    ) -> Response:
        found = visit(page, request, project_id)
        items = tuple(row for row in page.work_queue(found.site).all() if row.kind == "export")
        group = group_of(found, name, version)
        start = max(0, min(start, len(group.frames) - 1))
        screen = group_screen(found.site, group, items, start)
        part = "part_insight_exports.html" if request.headers.get("hx-request") else ""
        return show(
            request, found, part or "insight/group.html", shown=screen, start=start, count=PAGE
        )

    @routes.post("/projects/{project_id}/groups/{name}/export", include_in_schema=False)
    def begin(
        request: Request,
        project_id: int,
        name: str,
        version: Annotated[int, Form()],
        form: Annotated[Literal["coco", "yolo"], Form()],
        csrf: Annotated[str, Form()] = "",
    ) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        export(acting(found), name, version, form)
        where = f"/projects/{project_id}/groups/{quote(name, safe='')}?version={version}"
        return RedirectResponse(page.at(where), 303)

    @routes.get("/projects/{project_id}/groups/{name}/{version}/{form}.zip")
    def file(request: Request, project_id: int, name: str, version: int, form: str) -> Response:
        """Return the file of an export that was written."""
        found = visit(page, request, project_id)
        try:
            path = exported_file(found.site.parts.home, group_of(found, name, version), form)
        except ConfigError as error:
            raise RefusedError(404, f"{error}.") from None
        if not path.is_file():
            raise RefusedError(404, "This export was not written yet.", "Ask for it on the group.")
        return FileResponse(path, media_type="application/zip", filename=path.name)

    @routes.get("/api/projects/{project_id}/groups")
    def groups(request: Request, project_id: int) -> tuple[GroupRow, ...]:
        """Return every group of assets with its newest version, and what was trained on it."""
        return group_rows(visit(page, request, project_id).site)

    @routes.post("/api/projects/{project_id}/groups", status_code=201)
    def create(request: Request, project_id: int, asked: AskedGroup) -> AssetGroup:
        """Make the next version of a group; the same frames again give the last version."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        return _make(acting(found), asked)

    @routes.get("/api/projects/{project_id}/groups/{name}")
    def group(
        request: Request, project_id: int, name: str, version: int | None = None
    ) -> GroupScreen:
        """Return a version of a group: its frames, what was trained and judged on them, exports."""
        found = visit(page, request, project_id)
        items = tuple(row for row in page.work_queue(found.site).all() if row.kind == "export")
        return group_screen(found.site, group_of(found, name, version), items, 0)

    @routes.post("/api/projects/{project_id}/groups/{name}/export", status_code=202)
    def write(request: Request, project_id: int, name: str, asked: AskedExport) -> WorkItem:
        """Write an export of a group in the background."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        return export(acting(found), name, asked.version, asked.form)

    return routes


def group_of(found: Visit, name: str, version: int | None) -> AssetGroup:
    """Return a version of a group; RefusedError 404 where there is none."""
    try:
        return find_group(found.site.parts.ledger, name, version)
    except ConfigError as error:
        raise RefusedError(404, f"{error}.", "Begin from the groups again.") from None


def _make(found: Visit, asked: AskedGroup) -> AssetGroup:
    parts = found.site.parts
    request = GroupRequest(
        asked.name,
        asked.kind,
        snapshot=asked.snapshot,
        model=asked.model,
        source=asked.source,
        where=asked.where[:300],
        threshold=asked.threshold,
        frames=tuple(key.rstrip("!") for key in asked.frames),
    )
    who, now = found.session.person.username, parts.now()
    try:
        return make_group(parts.home, parts.ledger, request, who=who, now=now)
    except ConfigError:
        raise
    except ValueError as error:
        raise no_such_part(error) from error
