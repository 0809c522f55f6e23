"""The screen *Train*: the form, its faults beside the fields, and the picture of a training."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from cvat_bridge.errors import ConfigError
from cvat_bridge.web.long_work.kinds.training import run_of
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.routes.learning.forms import AskedFit
from cvat_bridge.web.routes.learning.work import work_of
from cvat_bridge.web.screens.learning.fields import FIT, sorted_faults
from cvat_bridge.web.screens.learning.progress import FitReader
from cvat_bridge.web.screens.learning.train import AskedTraining, checked, train_screen
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.visits import Visit, acting, check_form, visit

_LISTS = (
    *("train_tasks", "train_subsets", "train_jobs"),
    *("test_tasks", "test_subsets", "test_jobs"),
)


async def _filled(request: Request) -> FormData:
    return await request.form()


Filled = Annotated[FormData, Depends(_filled)]


def train_routes(page: Page, reader: FitReader) -> APIRouter:
    """Offer the screen."""
    routes = APIRouter(prefix="/projects/{project_id}/train", include_in_schema=False)

    @routes.get("")
    def train(request: Request, project_id: int) -> Response:
        found = visit(page, request, project_id)
        return _form(page, request, found, {}, {})

    @routes.post("")
    def begin(request: Request, project_id: int, form: Filled) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, str(form.get("csrf") or ""))
        acting(found)
        given, faults, way = _read(form)
        try:
            asked = AskedFit.model_validate(given)
            if not faults:
                work = training_of(page, found, asked)
                return RedirectResponse(page.at(f"/projects/{project_id}/work/{work.key}"), 303)
        except ConfigError as error:
            faults = sorted_faults(error.faults)
        except ValidationError as error:
            for row in error.errors():
                faults.setdefault(str(row["loc"][0]), []).append(str(row["msg"]))
        return _form(page, request, found, {**given, "way": way}, faults, status=422)

    @routes.get("/{key}/samples.png")
    def samples(request: Request, project_id: int, key: str) -> Response:
        found = visit(page, request, project_id)
        work = work_of(page.desk(found.site), key)
        if work.kind != "train":
            raise RefusedError(404, "This is no training.")
        shown = reader.read(run_of(found.site, work))
        if shown.picture is None:
            raise RefusedError(404, "There are no sample predictions yet.")
        return FileResponse(
            shown.picture,
            media_type="image/png",
            headers={"Cache-Control": "private, max-age=3600"},  # its address names the file
        )

    return routes


def training_of(page: Page, found: Visit, asked: AskedFit) -> Work:
    """Queue a training; the same key is the same one. Raises ConfigError with every fault."""
    desk, site = page.desk(found.site), found.site
    known = desk.find(asked.key)
    if known is not None:
        return known
    request = checked(
        site,
        AskedTraining(
            name=asked.name.strip(),
            task=asked.task,
            base=asked.base,
            device=asked.device,
            train={kind: getattr(asked, f"train_{kind}") for kind in ("tasks", "jobs", "subsets")},
            test={kind: getattr(asked, f"test_{kind}") for kind in ("tasks", "jobs", "subsets")},
            share=asked.share,
            fit=asked.fit,
        ),
    )
    if any(one.request["name"] == request["name"] for one in desk.works["train"].all()):
        raise ConfigError([f"the run's name is taken: {request['name']!r} was asked for already"])
    return desk.works["train"].ask(
        asked.key, request, who=found.session.person.username, at=site.parts.now()
    )


def _read(form: FormData) -> tuple[dict[str, Any], dict[str, list[str]], str]:
    """Return the fields as AskedFit takes them, faults of single ones, and how to test."""
    faults: dict[str, list[str]] = {}
    texts = {name: str(form.get(name) or "") for name in ("key", "name", "task", "base", "device")}
    given: dict[str, Any] = dict(texts)
    for name in _LISTS:
        values = [str(value) for value in form.getlist(name)]
        if name.endswith("jobs"):
            values = [part for text in values for part in re.split(r"[\s,]+", text) if part]
        if name.endswith("subsets"):
            given[name] = values
            continue
        wrong = [value for value in values if not value.isdigit()]
        if wrong:
            place = name.partition("_")[0]
            faults.setdefault(place, []).append(f"Jobs and tasks are numbers: {', '.join(wrong)}")
        given[name] = [int(value) for value in values if value.isdigit()]
    way = str(form.get("way") or "project")
    if way != "parts":
        for name in ("test_tasks", "test_subsets", "test_jobs"):
            given[name] = []
    given["share"] = None
    if way == "share":
        try:
            given["share"] = float(str(form.get("share") or ""))
        except ValueError:
            faults["share"] = ["The share is a number such as 0.2"]
    elif way == "parts" and not any(given[f"test_{kind}"] for kind in ("tasks", "subsets", "jobs")):
        faults["test"] = ["Name at least one task, subset or job to test on"]
    given["fit"] = {
        name.removeprefix(FIT): str(value)
        for name, value in form.items()
        if name.startswith(FIT) and str(value).strip()
    }
    return given, faults, way


def _form(
    page: Page,
    request: Request,
    found: Visit,
    given: Mapping[str, Any],
    faults: Mapping[str, list[str]],
    *,
    status: int = 200,
) -> Response:
    stamp = datetime.now(timezone.utc).strftime("train-%Y%m%d-%H%M%S")
    shown = train_screen(found.site, page.desk(found.site), name=stamp)
    return render(
        page,
        request,
        "train.html",
        session=found.session,
        status=status,
        visit=found,
        bar=bar(found.site, found.name),
        tab="train",
        train=shown,
        given={"name": stamp, "way": "project", "fit": {}, **given},
        faults=faults,
        settings_open=bool(given.get("fit")) or any(place.startswith(FIT) for place in faults),
        key=secrets.token_hex(16),
        FIT=FIT,
    )
