"""A model over a whole task, on every server: what it writes is what CVAT then holds, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvat_bridge.annotate.inference import InferenceRunner
from cvat_bridge.annotate.model import ChosenModel
from cvat_bridge.annotate.plan import make_plan
from cvat_bridge.annotate.request import AnnotationRequest
from cvat_bridge.annotate.run import annotate
from cvat_bridge.annotate.summary import AnnotationSummary
from cvat_bridge.ledger import Ledger
from tests.contract.stage import Stage, pictures
from tests.fakes.videos import clip
from tests.serverless.fakes import Scripted, bundle, detections, model_of, square
from trainer.data.labels import LabelMap
from trainer.detections import Detections

CLASSES = LabelMap(("cell", "nucleus", "tissue"))


def find(image: np.ndarray) -> Detections:
    """One object of each class; masks, so that every label's type gets its own form."""
    return detections(*((5, 4, 11, 10, 0.9 - 0.1 * n, n) for n in range(3)), masks=(square(),) * 3)


class Model:
    """A bundle whose engine answers `find`, run against a stage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        made = bundle(folder / "bundle", task="masks", labels=CLASSES)
        self.chosen = ChosenModel(made, "found", {name: name for name in CLASSES})
        self.runner = InferenceRunner(model_of(made, Scripted(find, CLASSES)), streams=2, batch=2)

    def over(self, stage: Stage, task_id: int, home: str = "home", **wanted) -> AnnotationSummary:
        with Ledger(self.folder / home / "ledger.db") as ledger:
            asked = AnnotationRequest(task_id=task_id, min_score=0.0, **wanted)
            plan = make_plan(stage.gateway, ledger, self.chosen, asked)
            return annotate(stage.gateway, ledger, plan, self.runner, locks=self.folder / home)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


def held(stage: Stage, task_id: int) -> list[dict]:
    jobs = stage.gateway.jobs(task_id=task_id)
    return [shape for job in jobs for shape in stage.gateway.annotations(job.id).shapes]


def test_every_frame_holds_every_object_in_its_labels_form(
    stage: Stage, project_id: int, model: Model
) -> None:
    task_id = stage.add_task(project_id, pictures(5), segment_size=2)

    ended = model.over(stage, task_id)

    names = {label.id: label.name for label in stage.gateway.labels(project_id=project_id)}
    shapes = held(stage, task_id)
    assert (ended.frames, ended.objects, ended.left_out) == (5, 15, [])
    assert sorted((s["frame"], names[s["label_id"]], s["type"], s["score"]) for s in shapes) == [
        row
        for frame in range(5)
        for row in (
            (frame, "cell", "rectangle", 0.9),
            (frame, "nucleus", "mask", 0.8),
            (frame, "tissue", "polygon", 0.7),
        )
    ]
    assert {s["source"] for s in shapes} == {"auto"}
    confidences = [s["attributes"] for s in shapes if names[s["label_id"]] == "cell"]
    assert [one["value"] for (one,) in confidences] == ["90"] * 5


def test_again_with_its_ledger_and_without_it_adds_nothing(
    stage: Stage, project_id: int, model: Model
) -> None:
    task_id = stage.add_task(project_id, pictures(3))
    model.over(stage, task_id)
    before = held(stage, task_id)

    known = model.over(stage, task_id)
    unknown = model.over(stage, task_id, home="elsewhere")

    assert (known.frames, known.done) == (0, 3)
    assert (unknown.frames, unknown.objects) == (3, 0)
    assert held(stage, task_id) == before


def test_a_video_is_annotated_by_shapes_on_single_frames(
    stage: Stage, project_id: int, model: Model
) -> None:
    task_id = stage.add_video_task(project_id, clip(8), 8)

    ended = model.over(stage, task_id, frames=((2, 4),))

    assert ended.left_out == []
    assert {shape["frame"] for shape in held(stage, task_id)} == {2, 3, 4}
