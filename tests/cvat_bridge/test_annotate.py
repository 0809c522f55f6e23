"""A model over tasks in memory: what is written where, once, whatever happens in between."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvat_bridge.annotate.inference import InferenceRunner
from cvat_bridge.annotate.labelling import match, parse_map
from cvat_bridge.annotate.model import ChosenModel, choose_model
from cvat_bridge.annotate.plan import make_plan
from cvat_bridge.annotate.request import AnnotationRequest, parse_frames
from cvat_bridge.annotate.run import annotate
from cvat_bridge.annotate.summary import AnnotationSummary
from cvat_bridge.cvat.gateway import Attribute, Gateway, Label
from cvat_bridge.cvat.shape_equality import shape_key
from cvat_bridge.errors import (
    BridgeError,
    ConfigError,
    LabelMismatchError,
    NotReadyError,
    UnreachableError,
)
from cvat_bridge.ledger import Ledger
from serverless.errors import ModelError
from serverless.store.functions import FunctionLabel, publish
from tests.fakes.faulty import DyingGateway, KilledError
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from tests.fakes.server import FakeServer
from tests.serverless.fakes import CLASSES, Scripted, bundle, detections, entry_of, model_of
from trainer.detections import Detections
from trainer.registry.registry import Registry

LABELS = [("cell", "rectangle"), ("platelet", "mask"), ("blurred", "tag")]
FRAMES = 7
noise = itertools.count()


def find(image: np.ndarray) -> Detections:
    """A sure cell and a doubtful platelet; where they are differs a little from call to call."""
    wobble = 0.004 * (next(noise) % 3)
    left = float(image[0, 0, 0]) / 16
    return detections(
        (left, 6 + wobble, left + 20, 28, 0.9, 0), (left, 30, left + 12, 40 + wobble, 0.4, 1)
    )


@dataclass
class Scene:
    server: FakeServer
    project_id: int
    task_id: int
    folder: Path
    model: ChosenModel
    engine: Scripted

    def run(
        self,
        *,
        gateway: Gateway | None = None,
        home: str = "home",
        say: Callable[[np.ndarray], Detections] | None = None,
        stop: threading.Event | None = None,
        **wanted: Any,
    ) -> AnnotationSummary:
        """Plan and annotate as the command does."""
        gateway = gateway or FakeGateway(self.server)
        asked = AnnotationRequest(**({"task_id": self.task_id, "min_score": 0.3} | wanted))
        engine = replace(self.engine, say=say) if say else self.engine
        runner = InferenceRunner(model_of(self.model.bundle, engine), streams=2, batch=2)
        with Ledger(self.folder / home / "ledger.db") as ledger:
            plan = make_plan(gateway, ledger, self.model, asked)
            return annotate(
                gateway,
                ledger,
                plan,
                runner,
                locks=self.folder / home,
                stop=stop,
            )

    def shapes(self) -> list[dict[str, Any]]:
        jobs = self.server.jobs_of(self.task_id)
        return [s for job in jobs for s in self.server.annotations[job.id].shapes]

    def places(self) -> list[tuple[int, int]]:
        """Frame and label of every shape."""
        return sorted((s["frame"], s["label_id"]) for s in self.shapes())


@pytest.fixture
def scene(server: FakeServer, tmp_path: Path) -> Scene:
    project = server.add_project("blood", LABELS)
    images = {f"{n}.png": picture(n) for n in range(FRAMES)}
    task = server.add_task(project.id, images, segment_size=3)
    made = bundle(tmp_path / "bundle")
    names = {name: name for name in made.card.labels}
    model = ChosenModel(made, "spots", names)
    return Scene(server, project.id, task.id, tmp_path, model, Scripted(find))


def test_every_job_gets_its_frames_objects_with_their_scores(scene: Scene):
    ended = scene.run()

    cell, platelet = (scene.server.label(scene.project_id, n).id for n in CLASSES)
    assert scene.places() == sorted((n, label) for n in range(FRAMES) for label in (cell, platelet))
    for job in scene.server.jobs_of(scene.task_id):
        held = {s["frame"] for s in scene.server.annotations[job.id].shapes}
        assert held == set(range(job.start_frame, job.stop_frame + 1))
    assert {(s["type"], s["score"], s["source"]) for s in scene.shapes()} == {
        ("rectangle", 0.9, "auto"),
        ("mask", 0.4, "auto"),
    }
    assert (ended.frames, ended.objects, ended.left_out) == (FRAMES, 2 * FRAMES, [])
    assert ended.by_label == {"cell": FRAMES, "platelet": FRAMES}


def test_the_second_run_looks_at_nothing_and_writes_nothing(scene: Scene):
    scene.run()
    before, looked = scene.shapes(), sum(scene.engine.batches)

    ended = scene.run()

    assert scene.shapes() == before
    assert sum(scene.engine.batches) == looked
    assert (ended.frames, ended.objects, ended.done) == (0, 0, FRAMES)


def test_without_its_ledger_a_run_finds_its_objects_in_cvat(scene: Scene):
    """Another machine: the answers wobble by parts of a pixel, and still nothing is doubled."""
    scene.run()
    before = scene.shapes()

    ended = scene.run(home="elsewhere")

    assert (ended.frames, ended.objects) == (FRAMES, 0)
    assert scene.shapes() == before


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_the_next_run_ends_the_same(scene: Scene, after: bool):
    """Before the call or after it: all objects are there, and none twice."""
    places = sorted(
        (n, scene.server.label(scene.project_id, name).id)
        for n in range(FRAMES)
        for name in CLASSES
    )
    counting = DyingGateway(FakeGateway(scene.server))
    scene.run(gateway=counting)
    calls = counting.calls
    assert calls.count("create_annotations") >= 3
    for at in range(1, len(calls) + 1):
        for job in scene.server.jobs_of(scene.task_id):
            scene.server.remove(job.id, [s["id"] for s in scene.server.annotations[job.id].shapes])
        home = f"home-{after}-{at}"
        with pytest.raises(KilledError):
            scene.run(
                gateway=DyingGateway(FakeGateway(scene.server), at=at, after=after), home=home
            )
        scene.run(home=home)

        assert scene.places() == places, f"killed at call {at}, {calls[at - 1]}"


def test_what_people_deleted_or_changed_before_the_resumption_is_left_so(scene: Scene):
    """The write was done and the answer lost; a person was quicker than the next run."""
    job = scene.server.jobs_of(scene.task_id)[0]
    gateway = FakeGateway(scene.server)
    lost = UnreachableError("write to", "a job", None, "gone")
    gateway.fail("create_annotations", lost, after=True)
    with pytest.raises(UnreachableError):
        scene.run(gateway=gateway, frames=((0, 2),))
    held = scene.server.annotations[job.id].shapes
    scene.server.remove(job.id, [held[0]["id"]])
    scene.server.edit(job.id, held[2]["id"], points=[1.0, 1.0, 9.0, 9.0])
    before = scene.server.annotations[job.id].shapes

    scene.run(frames=((0, 2),))

    assert len(before) == 5
    assert scene.server.annotations[job.id].shapes == before


def test_a_lower_threshold_adds_what_is_between_and_nothing_that_was_deleted(scene: Scene):
    scene.run(min_score=0.5)
    first = scene.shapes()
    job = scene.server.jobs_of(scene.task_id)[0]
    scene.server.remove(job.id, [first[0]["id"]])

    ended = scene.run(min_score=0.0)

    assert {s["score"] for s in first} == {0.9}
    assert ended.by_label == {"platelet": FRAMES}
    kept = [s for s in scene.shapes() if s["score"] == 0.9]
    assert kept == first[1:]


def test_threshold_zero_keeps_every_candidate(scene: Scene):
    scene.run(min_score=0.0, say=lambda _: detections((1, 1, 9, 9, 0.001, 0)))

    assert [s["score"] for s in scene.shapes()] == [0.001] * FRAMES
    assert set(scene.engine.thresholds) == {0.0}


def test_peoples_work_is_untouched_and_their_frames_can_be_left_alone(scene: Scene):
    """--only-empty leaves frames with a shape, a tag or a track alone, each in its job."""
    cell = scene.server.label(scene.project_id, "cell").id
    tag = scene.server.label(scene.project_id, "blurred").id
    first, second, _ = scene.server.jobs_of(scene.task_id)
    drawn = {"type": "rectangle", "frame": 0, "label_id": cell, "points": [1.0, 2.0, 8.0, 9.0]}
    seen = {"type": "rectangle", "points": [1.0, 2.0, 8.0, 9.0], "outside": False}
    track = {
        "frame": 3,
        "label_id": cell,
        "shapes": [{**seen, "frame": 3}, {**seen, "frame": 5, "outside": True}],
    }
    scene.server.annotate(first.id, shapes=[drawn], tags=[{"frame": 2, "label_id": tag}])
    scene.server.annotate(second.id, tracks=[track])
    before = {job.id: scene.server.annotations[job.id] for job in (first, second)}

    ended = scene.run(only_empty=True)

    assert {s["frame"] for s in scene.shapes() if s["source"] == "auto"} == {1, 5, 6}
    assert ended.occupied == 4
    for job_id, held in before.items():
        now = scene.server.annotations[job_id]
        assert now.shapes[: len(held.shapes)] == held.shapes
        assert (now.tags, now.tracks) == (held.tags, held.tracks)


def test_an_object_that_stands_there_is_not_doubled_whoever_brought_it(scene: Scene):
    """A person's, and an earlier model's, near enough; one of another label does not count."""
    first, *_ = scene.server.jobs_of(scene.task_id)
    cell = scene.server.label(scene.project_id, "cell").id
    (left, *_) = find(picture_pixels(0)).boxes[0]
    near = {"type": "rectangle", "label_id": cell, "frame": 0}
    near["points"] = [float(left) + 1, 7.0, float(left) + 21, 28.0]
    far = {**near, "frame": 1, "points": [0.0, 0.0, 4.0, 4.0]}
    scene.server.annotate(first.id, shapes=[near, far])

    scene.run(frames=((0, 2),))

    counts = [scene.places().count((frame, cell)) for frame in range(3)]
    assert counts == [1, 2, 1]
    assert len(scene.shapes()) == 2 + 2 + 3


def test_finished_and_ground_truth_jobs_are_left_alone_until_named(scene: Scene):
    first, second, _ = scene.server.jobs_of(scene.task_id)
    scene.server.finish(first.id)
    truth = scene.server.add_ground_truth_job(scene.task_id, [0, 4])

    ended = scene.run()
    named = scene.run(job_ids=(first.id,))

    assert set(ended.left_alone) == {first.id, truth.id}
    assert "completed" in ended.left_alone[first.id]
    assert named.objects == 6
    assert scene.server.annotations[truth.id].shapes == ()
    with pytest.raises(ConfigError, match="ground truth"):
        scene.run(job_ids=(truth.id,))
    with pytest.raises(ConfigError, match="--job 999"):
        scene.run(job_ids=(999, second.id))


def test_what_people_do_meanwhile_is_respected(scene: Scene):
    """A job that is finished, and a frame that is drawn on, while the model looks at them."""
    first, second, _ = scene.server.jobs_of(scene.task_id)
    cell = scene.server.label(scene.project_id, "cell").id
    drawn = {"type": "rectangle", "frame": 4, "label_id": cell, "points": [1.0, 2.0, 8.0, 9.0]}
    begun = threading.Event()

    def find_late(image: np.ndarray) -> Detections:
        if not begun.is_set():
            begun.set()
            scene.server.finish(first.id)
            scene.server.annotate(second.id, shapes=[drawn])
        return find(image)

    ended = scene.run(say=find_late, only_empty=True)

    assert ended.left_alone == {first.id: "it is completed; name it with --job to annotate it"}
    assert {s["frame"] for s in scene.shapes() if s["source"] == "auto"} == {3, 5, 6}
    assert (ended.occupied, ended.objects) == (1, 6)


def test_deleted_frames_and_frames_not_asked_for_are_not_looked_at(scene: Scene):
    scene.server.tasks[scene.task_id].deleted.add(1)

    scene.run(frames=parse_frames("0-2, 5"))

    assert {s["frame"] for s in scene.shapes()} == {0, 2, 5}
    assert sum(scene.engine.batches) == 3


def test_a_broken_frame_is_named_and_the_others_are_annotated(scene: Scene):
    """One that cannot be decoded, and one that the model fails on; both are tried again later."""
    stored = scene.server.tasks[scene.task_id]
    good = stored.files[2]
    stored.files = (*stored.files[:2], b"no image at all", *stored.files[3:])
    poison = np.asarray(picture_pixels(4))

    def fails(image: np.ndarray) -> Detections:
        if np.array_equal(image, poison):
            raise ValueError("no")
        return find(image)

    ended = scene.run(say=fails)
    stored.files = (*stored.files[:2], good, *stored.files[3:])
    again = scene.run()

    assert [(one.frame, one.name) for one in ended.left_out] == [(2, "2.png"), (4, "4.png")]
    assert "no image" in ended.left_out[0].problem
    assert "ValueError: no" in ended.left_out[1].problem
    assert ended.frames == FRAMES - 2
    assert (again.frames, again.left_out) == (2, [])
    assert len(scene.shapes()) == 2 * FRAMES


def test_a_model_that_fails_on_everything_ends_the_run(scene: Scene, server: FakeServer):
    def fails(_: np.ndarray) -> Detections:
        raise RuntimeError("no memory")

    images = {f"{n}.png": picture(n) for n in range(20)}
    task = server.add_task(scene.project_id, images)

    with pytest.raises(ModelError, match="first 16 frames.*no memory"):
        scene.run(task_id=task.id, say=fails)


@pytest.mark.parametrize(
    ("width", "height", "batch"), [(640, 480, 16), (6000, 4000, 2), (15000, 10000, 1)]
)
def test_large_frames_go_in_small_batches(scene: Scene, width: int, height: int, batch: int):
    """What is decoded at once stays within a few hundred megabytes."""
    media = FakeGateway(scene.server).media(scene.task_id)
    large = replace(
        media, frames=tuple(replace(f, width=width, height=height) for f in media.frames)
    )
    runner = InferenceRunner(model_of(scene.model.bundle, scene.engine), streams=2, batch=16)

    assert runner.sized(large).batch == batch


def test_an_unknown_class_is_an_error_not_a_silence(scene: Scene):
    with pytest.raises(ModelError, match="class 7"):
        scene.run(say=lambda _: detections((1, 1, 9, 9, 0.9, 7)))


def test_stopped_it_keeps_what_it_found_and_goes_on_later(scene: Scene):
    stop = threading.Event()

    def find_and_stop(image: np.ndarray) -> Detections:
        stop.set()
        return find(image)

    first = scene.run(say=find_and_stop, stop=stop)
    kept = len(scene.shapes())
    second = scene.run()

    assert first.stopped
    assert 0 < first.frames < FRAMES
    assert kept == 2 * first.frames
    assert (second.stopped, second.frames) == (False, FRAMES - first.frames)
    assert len(scene.shapes()) == len({shape_key(s) for s in scene.shapes()}) == 2 * FRAMES


def test_two_runs_do_not_meet_in_one_task(scene: Scene):
    refused: list[str] = []

    def find_and_run_another(image: np.ndarray) -> Detections:
        if not refused:
            with pytest.raises(BridgeError, match="another `annotate` works on task") as raised:
                scene.run(say=find)
            refused.append(str(raised.value))
        return find(image)

    ended = scene.run(say=find_and_run_another)

    assert refused
    assert ended.objects == len(scene.shapes()) == 2 * FRAMES


def test_a_project_is_all_its_tasks_and_names_what_it_leaves(scene: Scene, server: FakeServer):
    other = server.add_task(scene.project_id, {"x.png": picture(50)})
    server.add_empty_task(scene.project_id, "no data")

    ended = scene.run(task_id=None, project_id=scene.project_id)

    assert ended.frames == FRAMES + 1
    (job,) = server.jobs_of(other.id)
    assert len(server.annotations[job.id].shapes) == 2


def test_a_missing_label_is_refused_before_anything_is_run(scene: Scene, server: FakeServer):
    project = server.add_project("other", [("cell", "rectangle"), ("Platelet", "tag")])
    task = server.add_task(project.id, {"x.png": picture(1)})
    wanted = {"task_id": task.id}

    with pytest.raises(LabelMismatchError, match=r"platelet: CVAT has no such label.*--map"):
        scene.run(**wanted)
    with pytest.raises(LabelMismatchError, match="takes no detections"):
        scene.run(**wanted, mapped={"platelet": "Platelet"})
    assert scene.engine.batches == []

    scene.run(**wanted, mapped={"platelet": "cell"}, frames=())
    (job,) = server.jobs_of(task.id)
    assert {s["label_id"] for s in server.annotations[job.id].shapes} == {
        server.label(project.id, "cell").id
    }
    assert len(server.annotations[job.id].shapes) == 2


def test_classes_can_be_left_out_and_the_outcome_says_so(scene: Scene):
    ended = scene.run(mapped=parse_map(["platelet="]))

    assert ended.by_label == {"cell": FRAMES}
    assert ended.unmatched == {"platelet": "left out, as --map asks"}
    assert ended.unwritten == {"platelet": FRAMES}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["cell"], "MODEL_CLASS=CVAT_LABEL"),
        (["cell=a", "cell=b"], "twice"),
    ],
)
def test_a_map_that_cannot_be_read_is_refused(given: list[str], message: str):
    with pytest.raises(ConfigError, match=message):
        parse_map(given)


def test_a_map_that_names_what_is_not_there_says_what_is(scene: Scene):
    labels = scene.server.labels[scene.project_id]
    with pytest.raises(ConfigError, match="no such class; it has cell, platelet") as raised:
        match(scene.model, labels, {"cel": "cell", "platelet": "plate"}, known_only=True)
    assert "no such label there; it has cell, platelet, blurred" in str(raised.value)


def test_a_renamed_label_is_found_by_the_id_it_was_learnt_from(scene: Scene):
    labels = [Label(8, "Erythrocyte", "rectangle"), Label(9, "platelet", "mask")]
    learnt = replace(scene.model, label_ids={"cell": 8})

    found = match(learnt, labels, {}, known_only=False)

    assert {n: label.name for n, label in found.label_of.items()} == {
        0: "Erythrocyte",
        1: "platelet",
    }


@pytest.mark.parametrize("text", ["a", "3-1", "1,-2", "1--3"])
def test_frames_that_cannot_be_read_are_refused(text: str):
    with pytest.raises(ConfigError, match="--frames takes"):
        parse_frames(text)


def test_what_cannot_be_annotated_is_said(scene: Scene):
    empty = scene.server.add_empty_task(scene.project_id, "no data")
    with pytest.raises(NotReadyError, match="no data"):
        scene.run(task_id=empty.id)
    with pytest.raises(ConfigError, match="frames 0 to 6"):
        scene.run(frames=((0, 7),))
    with pytest.raises(ConfigError, match="either --task or --project"):
        scene.run(project_id=scene.project_id)


def test_an_attribute_named_confidence_is_filled(server: FakeServer, scene: Scene):
    """Text, number and choice, each in its own form; another attribute keeps its default."""
    forms = {
        "cell": Attribute(0, "confidence", "text"),
        "platelet": Attribute(0, "confidence", "select", ("0.25", "0.5", "0.75")),
    }
    labels = [Label(0, name, "rectangle", (form,)) for name, form in forms.items()]
    project = server.add_project("with attribute", labels)
    task = server.add_task(project.id, {"x.png": picture(1)})

    scene.run(task_id=task.id)

    (job,) = server.jobs_of(task.id)
    values = [s["attributes"][0]["value"] for s in server.annotations[job.id].shapes]
    assert values == ["0.90", "0.5"]


def test_a_model_is_found_by_folder_function_and_registry_name(tmp_path: Path):
    made = bundle(tmp_path / "spots")
    store = tmp_path / "functions"
    shown = (FunctionLabel("cell", "Cell", "rectangle"),)
    publish(store, entry_of(made, id="cells", labels=shown, min_score=0.2))
    registry = Registry(None, tmp_path / "home")
    registry.register("bloods", made)

    def choose(reference: str) -> ChosenModel:
        return choose_model(reference, store=store, registry=lambda: registry)

    folder, function, registered = choose(str(made.path)), choose("cells"), choose("bloods@1")
    assert folder.version == function.version == registered.version == made.version
    assert function.names == {"cell": "Cell"}
    assert function.least(None) == {"cell": 0.2, "platelet": 0.2}
    assert folder.least(None) == {"cell": 0.3, "platelet": 0.3}
    assert choose("bloods").name == "bloods@1"
    with pytest.raises(ConfigError, match="store.*: cells; names in the registry: bloods"):
        choose("nobody")
    with pytest.raises(ConfigError, match="models add"):
        choose(str(made.path / "model.onnx"))


def picture_pixels(seed: int) -> np.ndarray:
    from trainer.data.images import decode

    return decode(picture(seed))
