"""`cvat-bridge select`: what the next round would take, as a list and as a contact sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.queueing import look
from trainer.data.images import RGBImage, decode
from trainer.errors import ImageError

TILE = (180, 240)  # height, width in pixels
COLUMNS = 5


def preview(parts: Parts, *, sheet: Path | None = None) -> dict[str, Any]:
    """Choose as the next round would with the model that serves, without recording anything.

    Returns phase, strategy, advice, notes (what was decided → why) and frames, a row each in rank
    order: rank, frame ("task/number"), score (None where the strategy gives none), arm, reason.
    Raises NothingToDoError on an empty pool.
    """
    chosen = look(parts)
    rows = [
        {
            "rank": frame.rank,
            "frame": frame.key,
            "score": frame.score,
            "arm": frame.arm,
            "reason": frame.reason,
        }
        for frame in chosen.frames
    ]
    if sheet is not None:
        keys = [(frame.task_id, frame.frame) for frame in chosen.frames]
        captions = [f"{frame.rank}. {frame.reason}" for frame in chosen.frames]
        write_sheet(sheet, _pictures(parts.gateway, keys), captions)
    return {
        "phase": chosen.phase,
        "strategy": chosen.strategy,
        "advice": chosen.advice,
        "notes": dict(chosen.notes),
        "frames": rows,
    }


def write_sheet(path: Path, pictures: Sequence[RGBImage | None], captions: Sequence[str]) -> None:
    """Write thumbnails with their captions; None is a picture that cannot be read."""
    height, width = TILE
    lines = math.ceil(len(pictures) / COLUMNS) or 1
    canvas = np.full((lines * height, COLUMNS * width, 3), 255, np.uint8)
    for place, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        top, left = place // COLUMNS * height, place % COLUMNS * width
        if picture is not None:
            scale = min((width - 8) / picture.shape[1], (height - 44) / picture.shape[0])
            size = (max(1, int(picture.shape[1] * scale)), max(1, int(picture.shape[0] * scale)))
            small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            canvas[top + 4 : top + 4 + size[1], left + 4 : left + 4 + size[0]] = small
        for line, text in enumerate(_wrapped(caption, 42)[:2]):
            cv2.putText(
                canvas,
                text,
                (left + 4, top + height - 24 + 14 * line),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.34,
                (30, 30, 30),
                1,
                cv2.LINE_AA,
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", canvas[..., ::-1])[1].tobytes())


def _pictures(gateway: Gateway, keys: Sequence[tuple[int, int]]) -> list[RGBImage | None]:
    found: dict[tuple[int, int], RGBImage | None] = {}
    for task in sorted({task for task, _ in keys}):
        for number, content in gateway.frames(task, [n for t, n in keys if t == task]):
            try:
                found[task, number] = decode(content)
            except ImageError:
                found[task, number] = None
    return [found.get(key) for key in keys]


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
