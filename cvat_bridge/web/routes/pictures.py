"""Thumbnails of frames, and cut-outs of objects with the boxes of people and model."""

from __future__ import annotations

from fastapi import APIRouter
from markupsafe import escape
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from cvat_bridge.errors import GatewayError
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.pictures import SIDES, Box, Cut, UnreadableError, thumbnail
from cvat_bridge.web.visits import visit

_DAY = 86_400
_INSTEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 200" role="img">
<rect width="320" height="200" fill="#8884"/><text x="160" y="96" text-anchor="middle"
font-family="sans-serif" font-size="16" fill="#888">This image cannot be shown</text>
<text x="160" y="120" text-anchor="middle" font-family="sans-serif" font-size="11"
fill="#888">{}</text></svg>"""


def picture_routes(page: Page) -> APIRouter:
    """Offer thumbnails by task and frame number."""
    routes = APIRouter(prefix="/projects/{project_id}", include_in_schema=False)

    @routes.get("/frames/{task_id}/{frame}.jpg")
    def frame(
        request: Request,
        project_id: int,
        task_id: int,
        frame: int,
        side: int = 320,
        around: str = "",
        truth: str = "",
        answer: str = "",
    ) -> Response:
        found = visit(page, request, project_id)
        if side not in SIDES:
            raise RefusedError(422, f"A side is one of {', '.join(map(str, SIDES))} pixels.")
        cut = Cut(side, _box(around), _box(truth), _box(answer))
        try:
            path = thumbnail(found.site, task_id, frame, cut)
        except (UnreadableError, GatewayError) as error:
            words = error.detail if isinstance(error, GatewayError) else str(error)
            return Response(
                _INSTEAD.format(escape(words[:60])),
                media_type="image/svg+xml",
                headers={"Cache-Control": "no-store"},
            )
        return FileResponse(
            path, media_type="image/jpeg", headers={"Cache-Control": f"private, max-age={_DAY}"}
        )

    return routes


def _box(text: str) -> Box | None:
    """Read "x1,y1,x2,y2"; RefusedError 422 for anything else."""
    if not text:
        return None
    try:
        x1, y1, x2, y2 = (float(part) for part in text.split(","))
    except ValueError:
        raise RefusedError(422, "A box is four numbers with commas between them.") from None
    if not all(abs(value) < 1e6 for value in (x1, y1, x2, y2)):
        raise RefusedError(422, "A box lies within a million pixels.")
    return x1, y1, x2, y2
