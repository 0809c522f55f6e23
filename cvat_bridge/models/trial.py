"""A model answers one frame before CVAT shows it, and once more through the host that serves it."""

from __future__ import annotations

import base64
import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.errors import BridgeError
from serverless.host.models import answer_detector, answer_interactor, load
from serverless.store.functions import Entry
from serverless.wire.requests import detector_request, interactor_request
from trainer.bundles.bundle import Card
from trainer.data.images import decode
from trainer.errors import ImageError

_LOWEST = 0.01
_CHANCE = 0.05  # a best score below it is that of weights that have learnt nothing


@dataclass(frozen=True)
class TrialResult:
    """How a model answered.

    objects: answers above its own threshold. best: its highest score, or None where it saw
    nothing at all. seconds: of the answer, without loading.
    """

    objects: int
    best: float | None
    seconds: float


def sample_frame(path: Path | None, gateway: Gateway | None, project: int | None) -> bytes:
    """Return an encoded image: the file, else a frame of the project, else one that is made.

    Raises BridgeError for a file that cannot be read, GatewayError when CVAT fails.
    """
    if path is not None:
        try:
            content = path.read_bytes()
            decode(content)
        except (OSError, ImageError) as error:
            raise BridgeError(f"{path}: the sample cannot be read: {error}") from error
        return content
    if gateway is not None and project is not None:
        for task in gateway.tasks(project):
            for _, image in gateway.frames(task.id, [0]):
                return image
    # Noise, softened: a flat image would hide a network that answers nonsense.
    small = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def try_out(entry: Entry, image: bytes) -> TrialResult:
    """Load the bundle as the host does and let it answer; ModelError says what is wrong."""
    model = load(entry)
    began = time.perf_counter()
    if entry.kind == "interactor":
        request = interactor_request(_clicks(image))
        answer_interactor(entry, model, request, user_agent=None)
        return TrialResult(1, None, time.perf_counter() - began)
    body = {"image": base64.b64encode(image).decode()}
    shown = answer_detector(entry, model, detector_request(body))
    seconds = time.perf_counter() - began
    low = answer_detector(entry, model, detector_request({**body, "threshold": _LOWEST}))
    best = max((float(item["confidence"]) for item in low), default=None)
    return TrialResult(len(shown), best, seconds)


def doubt_of(trial: TrialResult, card: Card, *, real: bool) -> str:
    """Return why a model may show people nothing; "" where the frame gives no reason to doubt.

    real: whether the frame is a picture of theirs and not one that was made, on which a good
    model finds nothing either: then only a score as of chance is told.
    """
    if card.task == "interactor" or trial.objects:
        return ""
    if not real:
        if trial.best is None or trial.best >= _CHANCE:
            return ""
        return (
            f"it was tried on a made picture alone, with a best score of {trial.best:.2f}, as a "
            "model that has learnt nothing would: try one of your frames (--sample FILE, or "
            "--project N)"
        )
    floor = min(card.min_score_of(name) for name in card.labels)
    best = "no object at all" if trial.best is None else f"a best score of {trial.best:.2f}"
    return (
        f"on this frame it found {best}, and its threshold is {floor:.2f}: in CVAT it answers"
        " nothing there. Try a frame that shows its objects (--sample FILE); if it finds none"
        " there either, it has hardly learnt, or its card misreads it"
    )


def ask_host(url: str, entry: Entry, image: bytes, *, seconds: float = 60.0) -> dict[str, Any]:
    """Return {"listed", "answers", "message"}: whether the host behind CVAT offers the version.

    A host that is not there is no error: models wait for it in the store.
    """
    with httpx.Client(base_url=url, timeout=seconds, trust_env=False) as client:
        try:
            found = client.get(f"/api/functions/{entry.id}")
        except httpx.HTTPError as error:
            return _told(False, False, f"no function host answers at {url} ({error})")
        if found.status_code != httpx.codes.OK:
            where = f"the function host at {url} does not offer it"
            return _told(False, False, f"{where}: does it read the same store?")
        version = found.json()["metadata"]["annotations"].get("model_version")
        if version != entry.version:
            return _told(False, False, f"the host at {url} offers version {version} of it")
        body = (
            _clicks(image)
            if entry.kind == "interactor"
            else {"image": base64.b64encode(image).decode()}
        )
        fault = settled(url, entry, seconds=seconds)
        if fault:
            return _told(True, False, fault)
        try:
            answer = client.post(
                "/api/function_invocations",
                json=body,
                headers={"x-nuclio-function-name": entry.id, "x-nuclio-path": "/"},
            )
        except httpx.HTTPError as error:
            return _told(True, False, f"the host did not answer a frame: {error}")
        if answer.status_code != httpx.codes.OK:
            return _told(True, False, f"the host answered a frame with {answer.text[:300]}")
    return _told(True, True, f"listed and answering at {url}")


def settled(url: str, entry: Entry, *, seconds: float = 60.0) -> str:
    """Wait until the host answers with this version, and return why it does not: "" if it does.

    Until it has loaded a new version, a host goes on answering with the one before.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            httpx.get(f"{url}/api/functions/{entry.id}", timeout=seconds, trust_env=False)
            found = httpx.get(f"{url}/status", timeout=seconds, trust_env=False).json()
            row = next(row for row in found["functions"] if row["id"] == entry.id)
        except (httpx.HTTPError, ValueError, KeyError) as error:
            return f"no function host answers at {url} ({error})"
        except StopIteration:
            return f"the function host at {url} does not offer {entry.id}"
        if row["version"] == row["serving"] == entry.version:
            return ""
        if row["fault"]:
            return f"the function host cannot serve it: {row['fault']}"
        if time.monotonic() > until:
            return f"the function host at {url} has not loaded it within {seconds:g} s"
        time.sleep(0.05)


def host_states(url: str) -> dict[str, str] | None:
    """Return how each function fares, by id; None when no host answers."""
    try:
        found = httpx.get(f"{url}/status", timeout=5.0, trust_env=False)
        found.raise_for_status()
        rows = found.json()["functions"]
    except (httpx.HTTPError, ValueError, KeyError):
        return None
    return {row["id"]: f"{row['state']}: {row['fault']}".strip(": ") for row in rows}


def _clicks(image: bytes) -> dict[str, Any]:
    with Image.open(io.BytesIO(image)) as opened:
        width, height = opened.size
    middle = [[width * x, height * y] for x, y in ((0.2, 0.5), (0.5, 0.2), (0.8, 0.5), (0.5, 0.8))]
    return {
        "image": base64.b64encode(image).decode(),
        "pos_points": middle,
        "neg_points": [],
        "obj_bbox": [],
    }


def _told(listed: bool, answers: bool, message: str) -> dict[str, Any]:
    return {"listed": listed, "answers": answers, "message": message}
