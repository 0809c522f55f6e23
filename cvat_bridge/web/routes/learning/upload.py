"""A weights file and its class list, dropped into the browser."""

from __future__ import annotations

import shutil

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cvat_bridge.errors import BridgeError
from cvat_bridge.models.entries import function_id
from cvat_bridge.web.long_work.kinds.bringing import shelf_of, upload_folder
from cvat_bridge.web.long_work.work import KEY, Work
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.routes.learning.receiving import Received, receive
from cvat_bridge.web.visits import Visit, acting, check_form, visit


def upload_routes(page: Page) -> APIRouter:
    """Offer the way in, for forms and for scripts."""
    routes = APIRouter()

    @routes.post("/projects/{project_id}/models/upload", include_in_schema=False)
    async def form(request: Request, project_id: int) -> Response:
        work = await _taken(page, request, project_id)
        return RedirectResponse(page.at(f"/projects/{project_id}/work/{work.key}"), 303)

    @routes.post("/api/projects/{project_id}/models/upload", status_code=202)
    async def script(request: Request, project_id: int) -> Work:
        """Take a file of weights in (multipart/form-data) and let it serve in CVAT.

        Fields: key (32 hex digits of your own), name, architecture; files: weights, labels (a class
        a line, or a data.yaml), card. The checks are those of `cvat-bridge models add`; how they
        end stands in /work/{key}.
        """
        return await _taken(page, request, project_id)

    return routes


async def _taken(page: Page, request: Request, project_id: int) -> Work:
    found = await run_in_threadpool(_allowed, page, request, project_id)
    key = request.query_params.get("key", "")
    if not KEY.fullmatch(key):
        raise RefusedError(422, "The form's key is not ours.", "Load the page again.")
    known = await run_in_threadpool(lambda: page.desk(found.site).find(key))
    if known is not None:
        return known
    folder = upload_folder(found.site, key)
    if folder.exists():  # an earlier try was cut off
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)
    length = int(request.headers["content-length"])  # the guard saw that it is there
    kind = request.headers.get("content-type", "")
    sent = await receive(request.stream(), kind, folder, length=length)
    try:
        return await run_in_threadpool(_asked, page, request, found, key, sent)
    except BaseException:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)
        raise


def _allowed(page: Page, request: Request, project_id: int) -> Visit:
    return acting(visit(page, request, project_id))


def _asked(page: Page, request: Request, found: Visit, key: str, sent: Received) -> Work:
    check_form(found.session, request, sent.fields.get("csrf"))
    weights = sent.files.get("weights")
    if weights is None:
        raise RefusedError(
            422, "There is no weights file in the form.", "Choose one and try again."
        )
    name = sent.fields.get("name", "").strip() or weights.stem
    try:
        shelf_of(found.site).check_free(function_id(name))
    except BridgeError as error:
        words = str(error).replace("give another --name", "choose another name")
        raise RefusedError(409, f"{words[:1].upper()}{words[1:]}.", "Nothing was done.") from error
    files = {kind: path.name for kind, path in sent.files.items() if kind in ("labels", "card")}
    return (
        page.desk(found.site)
        .works["bring"]
        .ask(
            key,
            {
                "name": name[:100],
                "file": weights.name,
                "bytes": weights.stat().st_size,
                "architecture": sent.fields.get("architecture", "").strip(),
                **files,
            },
            who=found.session.person.username,
            at=found.site.parts.now(),
        )
    )
