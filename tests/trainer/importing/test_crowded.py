"""Crowded frames: every object is given, unless a card sets a limit, which is said."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.importing.exports import SIDE, constant, told, turned
from tests.trainer.importing.exports import rows as rows_of
from trainer.engines import load
from trainer.importing import ImportRequest, import_model

FRAME = np.zeros((SIDE, SIDE, 3), np.uint8)
COUNT = 600


def crowd() -> list[tuple[float, ...]]:
    """Boxes of 3 x 3 that do not touch, centre and size."""
    return [(2 + 4.0 * (n % 24), 2 + 3.8 * (n // 24), 3, 3) for n in range(COUNT)]


@pytest.mark.parametrize("chosen", [False, True])
def test_a_yolo_gives_every_object(tmp_path: Path, chosen: bool) -> None:
    if chosen:
        made = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2, 0.9, 0) for x, y, w, h in crowd()]
        values, more = rows_of(*made, count=COUNT), {"end2end": "True"}
    else:
        values, more = turned(rows_of(*[(*box, 0.9) for box in crowd()], count=COUNT)), {}
    path = constant(tmp_path / "m.onnx", {"o": values}, metadata=told(names="['cell']", **more))
    (found,) = load(import_model(ImportRequest(path, "m"), tmp_path / "b")).detect(
        [FRAME], min_score=0.3
    )
    assert len(found) == COUNT


def test_a_limit_of_the_card_is_kept_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = rows_of(*[(*box, 0.9, 0.9) for box in crowd()], count=COUNT)
    path = constant(tmp_path / "m.onnx", {"o": values})
    card = tmp_path / "card.yaml"
    card.write_text("labels: [cell]\nfamily: yolov5\nmost: 100\n")
    engine = load(import_model(ImportRequest(path, "m", card=card), tmp_path / "b"))
    with caplog.at_level(logging.WARNING):
        (found,) = engine.detect([FRAME], min_score=0.3)
    assert len(found) == 100
    assert "500 objects of a frame are dropped" in caplog.text
