"""A box model on labels of type polygon and mask: in a round, by `annotate`, and what is learnt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cvat_bridge.annotate.inference import InferenceRunner
from cvat_bridge.annotate.model import ChosenModel
from cvat_bridge.annotate.plan import make_plan
from cvat_bridge.annotate.request import AnnotationRequest
from cvat_bridge.annotate.run import annotate
from cvat_bridge.loop.proposals.corrections import CorrectionCounts
from cvat_bridge.loop.proposals.proposing import propose
from cvat_bridge.masks.interactors import interactor_id, own_interactor
from cvat_bridge.masks.making import segmenter_of
from cvat_bridge.pull.pull import pull
from cvat_bridge.settings import RoundSettings
from cvat_bridge.shapes import rle
from cvat_bridge.shapes.detected import FrameDetections
from serverless.store.folders import general_interactor, shipped
from serverless.store.functions import publish
from tests.cvat_bridge.test_round_steps import SETTINGS, Loop
from tests.fakes.detector import ToldDetector
from tests.fakes.ellipses import Filling, ellipses, fill_of, filled, on_frame
from tests.fakes.gateway import FakeGateway
from tests.serverless.fakes import Scripted, bundle, detections, model_of
from trainer.data.dataset import load_dataset
from trainer.evaluation.simulated_annotator import iou

SCENES = tuple(ellipses(seed) for seed in range(2))
NAMES = ("round", "outline", "spot")  # as mask, polygon and rectangle
LABELS = list(zip(NAMES, ("mask", "polygon", "rectangle"), strict=True))
TOLD = {
    scene.content: [
        *((name, 0.9, box) for name, box in zip(NAMES, scene.boxes, strict=True)),
        ("round", 0.1, (5.0, 5.0, 20.0, 20.0)),  # below what is proposed
    ]
    for scene in SCENES
}


def drawn(shape: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Rasterise a shape as CVAT shows it."""
    if shape["type"] == "mask":
        return on_frame(rle.decode(shape["points"]), size)
    if shape["type"] == "polygon":
        return on_frame(rle.fill([np.array(shape["points"]).reshape(-1, 2)], *size[::-1]), size)
    return filled(tuple(shape["points"]), size)


def check(shapes: list[dict[str, Any]], name_of: dict[int, str]) -> None:
    """See that masks and polygons follow the objects, and rectangles are the boxes."""
    types = {name_of[s["label_id"]]: s["type"] for s in shapes}
    assert types == dict(LABELS)
    for shape in shapes:
        place = NAMES.index(name_of[shape["label_id"]])
        scene = SCENES[0]
        truth, box = scene.truth[place], scene.boxes[place]
        if shape["type"] == "rectangle":
            assert shape["points"] == list(box)
            continue
        frame = drawn(shape, truth.shape)
        assert fill_of(frame) < 0.97
        assert iou(frame, truth) > max(0.85, iou(filled(box, truth.shape), truth) + 0.05)


@pytest.fixture
def loop(server, ledger, home):
    project = server.add_project("shapes", LABELS)
    task = server.add_task(project.id, {f"{n}.png": s.content for n, s in enumerate(SCENES)})
    settings = replace(SETTINGS, budget=2, job_size=2)
    detector = ToldDetector(NAMES, TOLD)
    made = Loop(FakeGateway(server), ledger, project, home, settings, detector)
    made.server, made.task = server, task
    return made


def names(loop) -> dict[int, str]:
    return {label.id: label.name for label in loop.server.labels[loop.project.id]}


def proposed(loop, **more):
    """Run the steps up to the pre-annotation; give its answer and the shapes in CVAT."""
    loop.choose()
    made = loop.prioritise()
    done = loop.preannotate(**more)
    return done, [s for j in made.jobs for s in loop.server.annotations[j.job_id].shapes], made


def test_a_round_proposes_masks_and_outlines_of_the_boxes(loop):
    done, shapes, _ = proposed(loop)

    assert done.proposed == dict.fromkeys(NAMES, 2)
    assert (done.unmatched, done.maskless, done.unread) == ({}, {}, {})
    assert {s["score"] for s in shapes} == {0.9}
    assert {s["source"] for s in shapes} == {"auto"}
    check(shapes, names(loop))


def test_only_the_frames_and_boxes_that_are_proposed_are_looked_at(loop):
    class Counting(Filling):
        asked: list[int] = []  # noqa: RUF012

        def segment_boxes(self, pixels, boxes):
            self.asked.append(len(boxes))
            return super().segment_boxes(pixels, boxes)

    loop.settings = replace(loop.settings, budget=1)
    proposed(loop, segmenter=Counting)

    assert Counting.asked == [2]  # a mask and an outline of the one frame


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "the box, filled"])
def test_a_box_in_which_nothing_is_drawn_is_not_proposed_and_counted(loop, empty):
    done, shapes, _ = proposed(loop, segmenter=lambda: Filling(empty=empty))

    assert {s["type"] for s in shapes} == {"rectangle"}
    assert done.proposed == {"spot": 2}
    assert done.maskless == {"round": 2, "outline": 2}


def test_without_an_interactor_such_labels_are_skipped_with_a_sentence(loop):
    done, shapes, _ = proposed(loop, segmenter=lambda: None)

    assert {s["type"] for s in shapes} == {"rectangle"}
    assert set(done.unmatched) == {"round", "outline"}
    assert done.unmatched["outline"] == (
        "label 'outline' is of type polygon; the model gives boxes, and no interactor that makes "
        "masks of them ships with this build"
    )


def test_a_frame_that_cannot_be_read_again_is_named(loop):
    loop.choose()
    made = loop.prioritise()
    stored = loop.server.tasks[made.task_id]
    stored.files = (b"broken", *stored.files[1:])

    done = loop.preannotate()

    assert set(done.unread) == {f"{made.task_id}/0"}
    assert done.proposed == {"round": 1, "outline": 1, "spot": 2}


def test_kept_masks_are_counted_as_kept_and_learnt_as_the_objects(loop, now):
    """What goes to the next fit is the mask, with the object's own box around it."""
    _, _, made = proposed(loop)
    (job,) = made.jobs
    loop.server.finish(job.job_id)

    total = loop.collect().total
    settings = replace(loop.settings, holdout_share=0.0)
    loop.settings = settings
    pulled = pull(
        loop.gateway, loop.ledger, loop.facts(), home=loop.home, settings=settings, now=now
    )
    data = load_dataset(pulled.dataset.path)

    assert total == CorrectionCounts(proposed=6, kept=6)
    for image in data.images:
        for found in image.objects:
            place = NAMES.index(data.labels.name_of(found.class_id))
            truth, box = SCENES[0].truth[place], SCENES[0].boxes[place]
            assert np.abs(np.array(found.box) - box).max() <= 3
            if NAMES[place] == "spot":
                assert found.segmentation is None
                continue
            learnt = found.bitmap(image.height, image.width)
            assert iou(learnt, truth) > iou(filled(box, truth.shape), truth) + 0.05


def test_a_label_of_any_type_gets_the_box_and_an_ellipse_lies_in_it(server):
    project = server.add_project("p", [("any", "any"), ("oval", "ellipse")])
    labels = {n: server.label(project.id, name) for n, name in enumerate(("any", "oval"))}
    found = detections((10, 20, 30, 40, 0.9, 0), (10, 20, 30, 40, 0.8, 1))

    shapes = propose([FrameDetections(0, 100, 100, found)], labels, RoundSettings())

    assert [(s["type"], s["points"]) for s in shapes] == [
        ("rectangle", [10, 20, 30, 40]),
        ("ellipse", [20, 30, 30, 20]),
    ]


def test_annotate_writes_the_same_shapes_as_a_round(loop, tmp_path):
    """One model, one shape for one label, on every way."""
    found = detections(*((*box, 0.9, n) for n, box in enumerate(SCENES[0].boxes)))
    made = bundle(tmp_path / "boxes", labels=NAMES)
    runner = InferenceRunner(model_of(made, Scripted(lambda _: found)), streams=1, batch=2)
    model = ChosenModel(made, "boxes", {name: name for name in NAMES})
    gateway = FakeGateway(loop.server)
    plan = make_plan(gateway, loop.ledger, model, AnnotationRequest(task_id=loop.task.id))

    ended = annotate(gateway, loop.ledger, plan, runner, locks=tmp_path)
    (job,) = loop.server.jobs_of(loop.task.id)
    mine = [s for s in loop.server.annotations[job.id].shapes if s["frame"] == 0]
    check(mine, names(loop))
    loop.server.remove(job.id, [s["id"] for s in loop.server.annotations[job.id].shapes])
    _, theirs, _ = proposed(loop)

    assert ended.by_label == dict.fromkeys(NAMES, 2)
    assert ended.maskless == {}
    (copy,) = [row.frame for row in loop.ledger.provenance(1) if row.source_frame == 0]
    same = [s["points"] for s in theirs if s["frame"] == copy]
    assert [s["points"] for s in mine] == same


def test_annotate_counts_boxes_without_an_object_and_names_frames_it_failed_on(loop, tmp_path):
    found = detections(*((*box, 0.9, n) for n, box in enumerate(SCENES[0].boxes)))
    made = bundle(tmp_path / "boxes", labels=NAMES)
    model = ChosenModel(made, "boxes", {name: name for name in NAMES})

    class Failing(Filling):
        def segment_boxes(self, pixels, boxes):
            if np.array_equal(pixels, SCENES[1].pixels):
                raise RuntimeError("no memory")
            return super().segment_boxes(pixels, boxes)

    runner = InferenceRunner(
        model_of(made, Scripted(lambda _: found)),
        streams=1,
        batch=2,
        segmenter=lambda _key: lambda: Failing(empty=True),
    )
    gateway = FakeGateway(loop.server)
    plan = make_plan(gateway, loop.ledger, model, AnnotationRequest(task_id=loop.task.id))

    ended = annotate(gateway, loop.ledger, plan, runner, locks=tmp_path)

    assert ended.as_json()["maskless"] == {"round": 1, "outline": 1}
    assert ended.by_label == {"spot": 1}
    assert [one.frame for one in ended.left_out] == [1]
    assert "making masks of its boxes failed: RuntimeError: no memory" in ended.left_out[0].problem


def test_a_model_of_masks_gives_boxes_outlines_and_masks(loop):
    """A mask on a rectangle label is its box; nothing is asked of an interactor."""
    from cvat_bridge.masks.making import wants_mask
    from trainer.detections import Mask

    scene = SCENES[0]
    rows = [(*box, 0.9, n) for n, box in enumerate(scene.boxes)]
    masks = tuple(Mask(truth, 0, 0) for truth in scene.truth)
    found = detections(*rows, masks=masks)
    labels = {n: loop.server.label(loop.project.id, name) for n, name in enumerate(NAMES)}

    shapes = propose([FrameDetections(0, 150, 140, found)], labels, loop.settings)

    assert not any(wants_mask(label, found) for label in labels.values())
    check(shapes, names(loop))


def test_the_projects_own_interactor_makes_its_masks_where_it_serves(tmp_path):
    general = general_interactor()
    (told,) = [entry for entry in shipped() if entry.id == "extreme-points"]
    store = tmp_path / "functions"
    before = own_interactor(store, "project-3")
    own = tmp_path / "own"
    own.mkdir()
    for name in ("card.json", *general.card.files):
        own.joinpath(name).write_bytes((general.path / name).read_bytes())
    publish(store, replace(told, id=interactor_id("project-3"), bundle=own))

    assert before is None
    assert own_interactor(store, "project-3") == own
    assert own_interactor(store, "project-4") is None
    (own / "model.onnx").write_bytes(b"broken")
    with pytest.raises(Exception, match=r"model\.onnx"):
        segmenter_of(store, "project-3")()
    assert segmenter_of(store, "project-4")() is not None
