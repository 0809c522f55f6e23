"""The screen *Savings*: what was measured, and the thresholds that a person may use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cvat_bridge.ledger.page_records import ThresholdChoice
from cvat_bridge.thresholds.choices import use_thresholds
from cvat_bridge.web.page import Page
from cvat_bridge.web.rendering import render
from cvat_bridge.web.screens.insight.savings import SavingsScreen, savings_screen
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.visits import Visit, acting, check_form, visit


class AskedThresholds(BaseModel):
    """Thresholds to use, by class name; null takes a choice back."""

    model_config = ConfigDict(extra="forbid")

    scores: dict[str, float | None]


def savings_routes(page: Page) -> APIRouter:
    """Offer the screen, its JSON, and the use of thresholds."""
    routes = APIRouter()

    @routes.get("/projects/{project_id}/savings", include_in_schema=False)
    def shown(request: Request, project_id: int) -> Response:
        found = visit(page, request, project_id)
        head = bar(found.site, found.name)
        return render(
            page,
            request,
            "insight/savings.html",
            session=found.session,
            visit=found,
            bar=head,
            tab="savings",
            shown=savings_screen(found.site),
        )

    @routes.post("/projects/{project_id}/savings/thresholds", include_in_schema=False)
    def use(
        request: Request,
        project_id: int,
        label: Annotated[list[str], Form()],
        score: Annotated[list[str], Form()],
        csrf: Annotated[str, Form()] = "",
    ) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        acting(found)
        wanted = {
            name: float(text) if text else None for name, text in zip(label, score, strict=True)
        }
        rows = _use(found, wanted)
        page.notify(found.session, _said(rows))
        return RedirectResponse(page.at(f"/projects/{project_id}/savings#thresholds"), 303)

    @routes.get("/api/projects/{project_id}/savings")
    def savings(request: Request, project_id: int) -> SavingsScreen:
        """Return what pre-annotation saves, what people did, and the thresholds that cost least."""
        return savings_screen(visit(page, request, project_id).site)

    @routes.post("/api/projects/{project_id}/thresholds")
    def choose(
        request: Request, project_id: int, asked: AskedThresholds
    ) -> tuple[ThresholdChoice, ...]:
        """Use pre-annotation thresholds, or take choices back (null); recorded with your name."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        acting(found)
        return _use(found, asked.scores)

    return routes


def _use(found: Visit, scores: dict[str, float | None]) -> tuple[ThresholdChoice, ...]:
    parts = found.site.parts
    who = found.session.person.username
    return use_thresholds(parts.ledger, scores, who=who, now=parts.now())


def _said(rows: tuple[ThresholdChoice, ...]) -> str:
    if not rows:
        return "Nothing changed: these thresholds are in use already."
    used = [f"{row.label} from {row.score:.2f}" for row in rows if row.score is not None]
    back = [row.label for row in rows if row.score is None]
    told = []
    if used:
        told.append(f"The next jobs show {', '.join(used)}.")
    if back:
        told.append(f"Taken back: {', '.join(back)} follow the configuration again.")
    return " ".join(told)
