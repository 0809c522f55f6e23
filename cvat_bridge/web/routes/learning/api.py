"""What *Run a model* shows and does, and all long work, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from cvat_bridge.annotate.looking.look import Look
from cvat_bridge.annotate.looking.take import Taken
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.page import Page
from cvat_bridge.web.routes.learning.forms import (
    AskedChange,
    AskedComparison,
    AskedFit,
    AskedTake,
    AskedWhole,
    FrameQuery,
)
from cvat_bridge.web.routes.learning.models import change_by, comparison_of
from cvat_bridge.web.routes.learning.run import look_of, take_of, whole_of
from cvat_bridge.web.routes.learning.train import training_of
from cvat_bridge.web.routes.learning.work import resume_work, stop_work, work_of
from cvat_bridge.web.screens.learning.library import Library, about, library
from cvat_bridge.web.screens.learning.offered import OfferedModel, offered_models
from cvat_bridge.web.visits import acting, check_form, visit
from trainer.registry.versions import Version

# Where a bundle lies on the service's machine is nobody's business.
_ROWS, _WITHOUT_PATH = ("versions", "interactors"), {"__all__": {"version": {"path"}}}


def learning_api(page: Page) -> APIRouter:
    """Offer the JSON routes. With a cookie, send the session's token as X-CSRF-Token."""
    routes = APIRouter(prefix="/api/projects/{project_id}")

    @routes.get("/run/models")
    def models(request: Request, project_id: int) -> tuple[OfferedModel, ...]:
        """Return the models that can be run here, by the reference that the other routes take."""
        return offered_models(visit(page, request, project_id).site)

    @routes.get("/run/frame")
    def frame(request: Request, project_id: int, asked: FrameQuery) -> dict[str, Any]:
        """Return what a model would bring to a frame, and what stands there."""
        return _plain(look_of(page, visit(page, request, project_id), asked))

    @routes.post("/run/take")
    def take(request: Request, project_id: int, asked: AskedTake) -> Taken:
        """Write one object of a frame, or all from the threshold on; twice writes once."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        acting(found)
        return take_of(page, found, asked)

    @routes.post("/run/whole", status_code=202)
    def whole(request: Request, project_id: int, asked: AskedWhole) -> Work:
        """Queue a run over a task, or with task 0 over the project; once for each key."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        acting(found)
        return whole_of(page, found, asked)

    @routes.post("/train", status_code=202)
    def train(request: Request, project_id: int, asked: AskedFit) -> Work:
        """Queue a training; once for each key. 422 names every fault."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        acting(found)
        return training_of(page, found, asked)

    @routes.get("/library", response_model_exclude=dict.fromkeys(_ROWS, _WITHOUT_PATH))
    def models_here(request: Request, project_id: int) -> Library:
        """Return the project's versions, what people brought and what ships."""
        site = visit(page, request, project_id).site
        return library(site, page.desk(site))

    @routes.get("/library/version")
    def version(request: Request, project_id: int, key: str, number: str) -> dict[str, Any]:
        """Return all that is known of a version: its card, provenance, when it served and why."""
        return about(visit(page, request, project_id).site, key, number)

    @routes.post("/library/change", response_model_exclude={"path"})
    def change(request: Request, project_id: int, asked: AskedChange) -> Version:
        """Let a version serve, or without a number the one before it."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        acting(found)
        return change_by(found, asked)

    @routes.post("/library/compare", status_code=202)
    def compare(request: Request, project_id: int, asked: AskedComparison) -> Work:
        """Queue a comparison of two models on the same test frames; once for each key."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        acting(found)
        return comparison_of(page, found, asked)

    @routes.get("/long-work")
    def all_work(request: Request, project_id: int) -> list[Work]:
        """Return all long work that people asked for, newest first by kind."""
        desk = page.desk(visit(page, request, project_id).site)
        return [one for works in desk.works.values() for one in works.all()]

    @routes.get("/long-work/{key}")
    def work(request: Request, project_id: int, key: str) -> Work:
        """Return a piece of work: how far it is, and what it led to."""
        return work_of(page.desk(visit(page, request, project_id).site), key)

    @routes.post("/long-work/{key}/stop")
    def stop(request: Request, project_id: int, key: str) -> Work:
        """Let it end and keep what is done."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        return stop_work(page, found, key)

    @routes.post("/long-work/{key}/resume")
    def resume(request: Request, project_id: int, key: str) -> Work:
        """Go on with what was stopped or failed."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        return resume_work(page, found, key)

    return routes


def _plain(look: Look) -> dict[str, Any]:
    """Return a look as JSON values, without the model's raw answer."""
    held: dict[str, Any] = {name: getattr(look, name) for name in vars(look) if name != "seen"}
    for name in ("candidates", "standing"):
        held[name] = [asdict(one) for one in held[name]]
    return held
