"""The steps of a round from the pool to people and back, on a server in memory."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from active_learning.choose import SelectionSettings
from active_learning.measures.disagreement import unflip
from active_learning.pool import ProjectState
from cvat_bridge.errors import ConfigError, LedgerError, NothingToDoError
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Membership
from cvat_bridge.loop.choosing import choose_frames
from cvat_bridge.loop.people.assignment import assign, put_in_order
from cvat_bridge.loop.people.guide_section import BEGIN, write_guide
from cvat_bridge.loop.people.round_notes import AssistingModel, job_notes
from cvat_bridge.loop.predict import predict
from cvat_bridge.loop.prioritise import prioritise, ranked_jobs
from cvat_bridge.loop.proposals.corrections import (
    CorrectionCounts,
    collect_corrections,
    count_corrections,
)
from cvat_bridge.loop.proposals.preannotate import preannotate
from cvat_bridge.project.facts import gather
from cvat_bridge.project.markers import round_marker
from cvat_bridge.settings import RoundSettings
from cvat_bridge.thresholds.rule import DrawingSeconds
from tests.fakes.detector import ToldDetector
from tests.fakes.faulty import DyingGateway, KilledError
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from tests.fakes.server import FakeServer
from trainer.calibration.worth import ShapeSeconds
from trainer.data.images import decode

MODEL = "m1"
SECONDS = DrawingSeconds(ShapeSeconds(10, 1.5, 6, 1.5), ShapeSeconds(20, 2, 8, 2))
PICTURES = {n: picture(n) for n in range(12)}
# The less sure, the lower the number of the picture.
TOLD = {
    content: [("cell", 0.5 + n / 30, (4.0, 5.0, 24.0, 25.0)), ("cell", 0.1, (30.0, 1.0, 40.0, 9.0))]
    for n, content in PICTURES.items()
}
STATE = ProjectState(labelled=4, trusted=True)
SETTINGS = RoundSettings(
    budget=4,
    job_size=2,
    selection=SelectionSettings(strategy="entropy_topk_mean", control_share=0.0),
    min_score=0.3,
)


def files(*numbers):
    return {f"{n}.png": PICTURES[n] for n in numbers}


def world():
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    return server, project, server.add_task(project.id, files(*range(8)), segment_size=4)


class Loop:
    """The steps of one round, in order, over one gateway and home."""

    def __init__(self, gateway, ledger, project, home, settings=SETTINGS, detector=None, number=1):
        self.gateway, self.ledger, self.project, self.home = gateway, ledger, project, home
        self.settings, self.number = settings, number
        self.detector = detector or ToldDetector(["cell"], TOLD)

    def facts(self):
        return gather(self.gateway, self.ledger, self.project.id, self.settings)

    def predict(self):
        return predict(
            self.gateway,
            self.ledger,
            self.facts(),
            home=self.home,
            settings=self.settings,
            detector=self.detector,
            model=MODEL,
        )

    def choose(self, **more):
        return choose_frames(
            self.ledger,
            self.facts(),
            self.predict(),
            number=self.number,
            home=self.home,
            settings=self.settings,
            state=replace(STATE, class_names=tuple(self.detector.labels)),
            **more,
        )

    def prioritise(self):
        return prioritise(
            self.gateway,
            self.ledger,
            self.facts(),
            number=self.number,
            home=self.home,
            settings=self.settings,
        )

    def preannotate(self, **more):
        return preannotate(
            self.gateway,
            self.ledger,
            self.project.id,
            ranked_jobs(self.gateway, self.ledger, number=self.number),
            number=self.number,
            model=MODEL,
            home=self.home,
            settings=self.settings,
            **more,
        )

    def notes(self, jobs):
        return job_notes(
            self.gateway,
            self.ledger,
            jobs,
            self.gateway.labels(project_id=self.project.id),
            number=self.number,
            home=self.home,
            looked=AssistingModel(MODEL, {}, "boxes"),
            seconds=SECONDS,
            opened=2.0,
            usual=None,
        )

    def assign(self):
        jobs = ranked_jobs(self.gateway, self.ledger, number=self.number)
        notes = self.notes(jobs)
        write_guide(
            self.gateway,
            self.project.id,
            jobs,
            number=self.number,
            settings=self.settings,
            notes=notes,
        )
        put_in_order(self.gateway, jobs, settings=self.settings)
        return assign(self.gateway, jobs, settings=self.settings)

    def collect(self):
        return collect_corrections(
            self.gateway, self.ledger, self.facts(), home=self.home, settings=self.settings
        )

    def run(self):
        self.choose()
        made = self.prioritise()
        self.preannotate()
        self.assign()
        return made


@pytest.fixture
def loop(ledger, home):
    server, project, task = world()
    made = Loop(FakeGateway(server), ledger, project, home)
    made.server, made.task = server, task
    return made


# -- predict -------------------------------------------------------------------------------------


def test_the_pool_is_predicted_in_batches_once(loop):
    loop.settings = RoundSettings(batch_size=3, selection=SETTINGS.selection)
    first, again = loop.predict(), loop.predict()

    assert [frame.key for frame in first.frames] == [f"{loop.task.id}/{n}" for n in range(8)]
    assert (first.cached, first.read, again.cached, again.read) == (0, 8, 8, 0)
    assert loop.detector.batches == [3, 3, 2]
    assert loop.gateway.calls["frames"] == 1


def test_predictions_are_kept_whole_and_low_candidates_too(loop):
    loop.predict()
    known = loop.ledger.frames()

    with PredictionStore(loop.home.predictions, MODEL) as store:
        found = store.get([known[f"{loop.task.id}/3"].sha256])
    (one,) = found.values()

    assert one.scores.tolist() == pytest.approx([0.6, 0.1])
    assert one.boxes.tolist() == [[4, 5, 24, 25], [30, 1, 40, 9]]
    assert one.probabilities.shape == (2, 1)
    assert one.embedding.shape == (3,)


def test_another_model_predicts_anew(loop):
    loop.predict()
    facts = loop.facts()
    other = predict(
        loop.gateway,
        loop.ledger,
        facts,
        home=loop.home,
        settings=loop.settings,
        detector=loop.detector,
        model="m2",
    )

    assert (other.cached, other.read) == (0, 8)


def test_a_broken_frame_is_skipped_and_named(loop):
    stored = loop.server.tasks[loop.task.id]
    stored.files = (*stored.files[:2], b"broken", *stored.files[3:])

    first, again = loop.predict(), loop.predict()

    assert set(first.skipped) == {f"{loop.task.id}/2"}
    assert f"{loop.task.id}/2" not in {frame.key for frame in first.frames}
    assert (len(first.frames), again.cached, again.read) == (7, 7, 0)


def test_a_killed_pass_keeps_the_batches_that_were_done(loop):
    class Fails(ToldDetector):
        def detect(self, images, *, min_score):
            if len(self.batches) == 2:
                raise KilledError
            return super().detect(images, min_score=min_score)

    loop.settings = RoundSettings(batch_size=3, selection=SETTINGS.selection)
    whole, loop.detector = loop.detector, Fails(["cell"], TOLD)
    with pytest.raises(KilledError):
        loop.predict()
    loop.detector = whole

    assert (loop.predict().read, whole.batches) == (2, [2])


# -- choose --------------------------------------------------------------------------------------


def test_the_least_sure_frames_are_chosen_best_first_and_remembered(loop):
    """A sigmoid's entropy is greatest at 0.5: the lower the picture's number, the less sure."""
    chosen = loop.choose()
    again = loop.choose()

    assert [row.key for row in chosen.frames] == [f"{loop.task.id}/{n}" for n in range(4)]
    assert [row.rank for row in chosen.frames] == [1, 2, 3, 4]
    assert {row.arm for row in chosen.frames} == {"strategy"}
    assert all(row.reason for row in chosen.frames)
    assert again == chosen == loop.choose()
    assert loop.ledger.selection(1) == chosen.frames


def test_disagreement_by_name_chooses_where_the_mirrored_frame_is_read_otherwise(loop):
    """The detector finds frames 2 and 5 mirrored at another place, the others where they were."""

    class Turns(ToldDetector):
        def detect(self, images, *, min_score):
            self.batches.append(len(images))
            return [self._either(image, min_score) for image in images]

        def _either(self, image, min_score):
            plain = self._answer(image, min_score)
            if len(plain):
                return plain
            upright = np.ascontiguousarray(image[:, ::-1])
            found = self._answer(upright, min_score)
            boxes = unflip(found.boxes, image.shape[1])
            if upright.tobytes() in odd:
                boxes = boxes + np.float32(3)
            return replace(found, boxes=boxes.astype(np.float32))

    odd = {decode(PICTURES[n]).tobytes() for n in (2, 5)}
    loop.detector = Turns(["cell"], TOLD)
    named = replace(loop.settings.selection, strategy="disagreement")
    loop.settings = replace(loop.settings, budget=2, selection=named)

    chosen = loop.choose()

    assert {row.key for row in chosen.frames} == {f"{loop.task.id}/{n}" for n in (2, 5)}
    assert loop.detector.seen == 16


def test_looking_records_nothing(loop):
    loop.choose(record=False)

    assert loop.ledger.selection(1) == ()


def test_images_that_people_have_already_are_not_chosen(loop):
    server, project = loop.server, loop.project
    twice = server.add_task(project.id, files(0, 9))
    held = server.add_task(project.id, files(1), segment_size=1)
    loop.predict()
    known = loop.ledger.frames()
    loop.ledger.add_memberships(
        [Membership(known[f"{loop.task.id}/2"].sha256, "holdout", "g", "rule", "2026")]
    )
    FakeGateway(server).update_job(server.jobs_of(held.id)[0].id, assignee=server.robot.id)

    chosen = loop.choose()

    # 0 is twice in the pool, 1 is with somebody, 2 is holdout
    assert [row.key for row in chosen.frames] == [f"{loop.task.id}/{n}" for n in (0, 3, 4, 5)]
    assert chosen.duplicates == 3
    assert f"{twice.id}/0" not in {row.key for row in chosen.frames}


def test_an_empty_pool_is_nothing_to_do(ledger, home):
    server = FakeServer()
    project = server.add_project("cells", ["cell"])

    with pytest.raises(NothingToDoError, match="no frame is left"):
        Loop(FakeGateway(server), ledger, project, home).choose()


# -- prioritise ----------------------------------------------------------------------------------


def test_chosen_frames_become_jobs_in_rank_order(loop):
    chosen = loop.choose()
    made = loop.prioritise()

    media = loop.gateway.media(made.task_id)
    jobs = loop.gateway.jobs(task_id=made.task_id)
    # CVAT's pages list the highest id first: what people see first is worth most.
    assert [job.job_id for job in made.jobs] == sorted((job.id for job in jobs), reverse=True)
    assert [job.frames for job in made.jobs] == [(2, 3), (0, 1)]
    assert [score for job in made.jobs for score in job.scores] == [r.score for r in chosen.frames]
    assert [frame.name for frame in media.frames] == [
        f"{rank:04d}_{rank - 1}.png" for rank in (3, 4, 1, 2)
    ]
    assert loop.server.tasks[made.task_id].files == tuple(PICTURES[n] for n in (2, 3, 0, 1))
    assert made.storage == "local"
    assert made.jobs[0].reason.startswith("ranks 1-2: ")
    assert loop.server.tasks[made.task_id].task.name.startswith(
        "Round 1: 4 frames, begin with the top "
    )


def test_every_copy_is_traceable_and_its_source_leaves_the_pool(loop):
    loop.choose()
    made = loop.prioritise()

    rows = loop.ledger.provenance(1)
    assert [(r.task_id, r.frame, r.source_task, r.source_frame, r.rank) for r in rows] == [
        (made.task_id, place, loop.task.id, n, n + 1) for place, n in enumerate((2, 3, 0, 1))
    ]
    assert [frame.key for frame in loop.facts().pool] == [
        f"{loop.task.id}/{n}" for n in (4, 5, 6, 7)
    ]
    assert loop.server.tasks[loop.task.id].deleted == set()


def test_sources_are_hidden_when_the_setting_says_so(loop):
    loop.settings = RoundSettings(budget=2, selection=SETTINGS.selection, mark_source_deleted=True)
    loop.choose()
    loop.prioritise()
    loop.prioritise()

    assert loop.server.tasks[loop.task.id].deleted == {0, 1}


@pytest.mark.parametrize(("storage", "cloud"), [("share", None), ("cloud_storage", 5)])
def test_frames_in_one_storage_are_used_where_they_are(ledger, home, storage, cloud):
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    images = {f"plate/{n}.png": PICTURES[n] for n in range(8)}
    server.share, server.cloud = images, {5: images}
    server.add_task(project.id, images, storage=storage, cloud_storage_id=cloud)
    loop = Loop(FakeGateway(server), ledger, project, home)
    loop.choose()

    made = loop.prioritise()

    assert made.storage == storage
    assert [f.name for f in loop.gateway.media(made.task_id).frames] == [
        f"plate/{n}.png" for n in (2, 3, 0, 1)
    ]
    assert [row.source_frame for row in ledger.provenance(1)] == [2, 3, 0, 1]


def test_teams_that_work_by_rising_id_get_the_best_job_first(loop):
    loop.settings = replace(SETTINGS, job_list="oldest_first")
    loop.choose()

    made = loop.prioritise()

    jobs = loop.gateway.jobs(task_id=made.task_id)
    assert [job.job_id for job in made.jobs] == [job.id for job in jobs]
    assert [job.frames for job in made.jobs] == [(0, 1), (2, 3)]


def test_a_storage_with_names_like_ours_is_traced_rightly(ledger, home):
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    server.share = {"0002_a.png": PICTURES[0], "a.png": PICTURES[1]}
    server.add_task(project.id, server.share, storage="share")
    loop = Loop(FakeGateway(server), ledger, project, home)
    loop.choose()

    loop.prioritise()

    assert [(r.frame, r.source_frame, r.rank) for r in ledger.provenance(1)] == [
        (0, 0, 1),
        (1, 1, 2),
    ]


def test_a_task_that_an_earlier_version_made_is_found_by_its_names(loop):
    loop.choose()
    marker = round_marker(loop.ledger.identity, 1)
    old = {f"{n + 1:04d}_task{loop.task.id}_frame{n:06d}.png": PICTURES[n] for n in range(4)}
    made = loop.server.add_task(loop.project.id, old, name=f"Round 1 {marker}", segment_size=2)

    assert loop.prioritise().task_id == made.id
    assert [row.source_frame for row in loop.ledger.provenance(1)] == [0, 1, 2, 3]


def test_a_mixture_of_storages_is_downloaded_and_uploaded(ledger, home):
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    server.share = files(0, 1)
    server.add_task(project.id, server.share, storage="share")
    server.add_task(project.id, files(2, 3))
    loop = Loop(FakeGateway(server), ledger, project, home)
    loop.choose()

    made = loop.prioritise()

    assert made.storage == "local"
    assert server.tasks[made.task_id].files == tuple(PICTURES[n] for n in (2, 3, 0, 1))


def test_frames_of_a_video_become_pictures(ledger, home):
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    server.add_task(project.id, files(*range(6)), is_video=True)
    loop = Loop(FakeGateway(server), ledger, project, home)
    loop.choose()

    made = loop.prioritise()

    names = [frame.name for frame in loop.gateway.media(made.task_id).frames]
    assert names == ["0003_2.png", "0004_3.png", "0001_0.png", "0002_1.png"]
    assert not loop.gateway.media(made.task_id).is_video


def test_frames_that_people_took_since_are_left_out(loop):
    loop.choose()
    FakeGateway(loop.server).update_job(
        loop.server.jobs_of(loop.task.id)[0].id, assignee=loop.server.robot.id
    )

    with pytest.raises(NothingToDoError, match="taken every frame"):
        loop.prioritise()


def test_a_task_that_holds_something_else_is_not_taken_for_the_rounds(loop):
    loop.choose()
    marker = round_marker(loop.ledger.identity, 1)
    loop.server.add_task(loop.project.id, files(11), name=f"mine {marker}")

    with pytest.raises(LedgerError, match="did not choose"):
        loop.prioritise()


def test_existing_jobs_are_ranked_without_a_copy(ledger, home):
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    task = server.add_task(project.id, files(5, 7, 2, 9, 0, 1), segment_size=2)
    low, middle, best = server.jobs_of(task.id)
    settings = RoundSettings(budget=4, mode="rank_existing", selection=SETTINGS.selection)
    loop = Loop(FakeGateway(server), ledger, project, home, settings)
    loop.choose()

    made = loop.prioritise()
    FakeGateway(server).update_job(best.id, assignee=server.robot.id)  # it is nobody's pool now

    assert (made.task_id, made.storage, len(server.tasks)) == (None, "none", 1)
    assert [(job.job_id, job.frames) for job in made.jobs] == [
        (best.id, (4, 5)),
        (middle.id, (2,)),
        (low.id, (0,)),
    ]
    assert loop.prioritise() == made


# -- pre-annotate, assign ------------------------------------------------------------------------


def test_predictions_are_written_with_source_and_score(loop):
    loop.choose()
    made = loop.prioritise()

    done = loop.preannotate()

    (first, second), *_ = [loop.server.annotations[job.job_id].shapes for job in made.jobs]
    assert done.proposed == {"cell": 4}
    assert (first["frame"], first["type"], first["points"]) == (2, "rectangle", [4, 5, 24, 25])
    assert (first["source"], first["score"]) == ("auto", pytest.approx(0.5))
    assert second["score"] == pytest.approx(0.5333)
    rows = loop.ledger.proposals(job_id=made.jobs[0].job_id)
    assert [(row.shape_id, row.label, row.model) for row in rows] == [
        (first["id"], "cell", MODEL),
        (second["id"], "cell", MODEL),
    ]


def test_each_label_has_its_own_least_score(loop):
    loop.settings = RoundSettings(
        budget=4, job_size=2, selection=SETTINGS.selection, min_scores={"cell": 0.55}
    )
    loop.choose()
    loop.prioritise()

    assert loop.preannotate().proposed == {"cell": 2}


def test_a_job_where_people_have_drawn_is_left_alone(loop):
    loop.choose()
    made = loop.prioritise()
    drawn = {"type": "rectangle", "frame": 0, "points": [1.0, 1.0, 5.0, 5.0]}
    label = loop.server.label(loop.project.id, "cell").id
    (mine,) = loop.server.annotate(
        made.jobs[0].job_id, shapes=[{**drawn, "label_id": label}]
    ).shapes

    done = loop.preannotate()

    assert done.skipped == {made.jobs[0].job_id: "people have drawn in it"}
    assert loop.server.annotations[made.jobs[0].job_id].shapes == (mine,)
    assert len(loop.server.annotations[made.jobs[1].job_id].shapes) == 2


def test_objects_of_another_model_are_not_doubled(loop):
    loop.choose()
    made = loop.prioritise()
    label = loop.server.label(loop.project.id, "cell").id
    other = {"type": "rectangle", "frame": 0, "points": [1.0, 1.0, 5.0, 5.0], "source": "auto"}
    loop.server.annotate(made.jobs[0].job_id, shapes=[{**other, "label_id": label}])

    done = loop.preannotate()

    assert "another hand" in done.skipped[made.jobs[0].job_id]
    assert len(loop.server.annotations[made.jobs[0].job_id].shapes) == 1


def test_a_renamed_label_is_found_by_its_id_and_an_unknown_class_is_named(loop):
    loop.detector = ToldDetector(["cell", "fibre"], TOLD)
    loop.choose()
    made = loop.prioritise()
    (label,) = loop.server.labels[loop.project.id]
    loop.server.labels[loop.project.id] = (type(label)(label.id, "blood cell", "polygon"),)

    done = loop.preannotate(label_ids={"cell": label.id})

    assert done.proposed == {"blood cell": 4}
    assert set(done.unmatched) == {"fibre"}
    assert {s["type"] for s in loop.server.annotations[made.jobs[0].job_id].shapes} == {"polygon"}


def test_untouched_proposals_of_an_earlier_round_are_replaced(ledger, home):
    """Where existing jobs are ranked, one may be ranked again before anybody opened it."""
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    task = server.add_task(project.id, files(0, 1))
    (job,) = server.jobs_of(task.id)
    settings = RoundSettings(budget=2, mode="rank_existing", selection=SETTINGS.selection)
    first = Loop(FakeGateway(server), ledger, project, home, settings)
    first.run()
    stricter = RoundSettings(
        budget=2, mode="rank_existing", selection=SETTINGS.selection, min_score=0.52
    )
    second = Loop(FakeGateway(server), ledger, project, home, stricter, number=2)
    second.run()

    assert [s["score"] for s in server.annotations[job.id].shapes] == [pytest.approx(0.5333)]
    server.finish(job.id)
    assert second.collect().total == CorrectionCounts(proposed=1, kept=1)


def test_jobs_go_to_people_in_turn_and_keep_whom_they_have(loop):
    ann, bob = loop.server.add_user("ann"), loop.server.add_user("bob")
    loop.settings = RoundSettings(
        budget=4, job_size=1, selection=SETTINGS.selection, assignees=("ann", bob.id)
    )
    loop.choose()
    made = loop.prioritise()
    loop.gateway.update_job(made.jobs[2].job_id, assignee=bob.id)

    given = loop.assign()

    assert list(given.values()) == ["ann", "bob", "bob", "bob"]
    assert loop.server.jobs[made.jobs[0].job_id].assignee == ann
    assert loop.assign() == given


def test_an_unknown_assignee_is_named(loop):
    loop.settings = RoundSettings(budget=2, selection=SETTINGS.selection, assignees=("zoe",))
    loop.choose()
    loop.prioritise()

    with pytest.raises(ConfigError, match="no user 'zoe'"):
        loop.assign()


def test_the_guide_keeps_what_people_wrote(loop):
    loop.server.guides[loop.project.id] = "# How we label\nCells are round."
    loop.run()
    once = loop.server.guides[loop.project.id]
    loop.assign()

    assert once.startswith("# How we label\nCells are round.\n\n" + BEGIN)
    assert f"/jobs/{loop.ledger.ranked_jobs(1)[0].job_id})" in once
    assert loop.server.guides[loop.project.id] == once


def test_the_guide_says_what_to_look_at_and_how_long_it_takes(loop):
    loop.run()

    (row,) = [
        line for line in loop.server.guides[loop.project.id].splitlines() if line.startswith("| 1 ")
    ]
    # Two frames opened, in each one object drawn at about 0.5 and one suspected at 0.1.
    assert "| 2 | under 1 min | Check what is drawn" in row
    assert "Frame 2: is “cell” right? Frame 3: is “cell” right?" in row


def test_existing_jobs_can_be_sorted_by_worth_in_cvat(ledger, home):
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    server.add_task(project.id, files(5, 7, 2, 9, 0, 1), segment_size=2)
    settings = RoundSettings(budget=4, mode="rank_existing", selection=SETTINGS.selection)
    loop = Loop(FakeGateway(server), ledger, project, home, settings)
    loop.choose()
    made = loop.prioritise()

    loop.assign()

    touched = {job.id: job.updated_date for job in server.jobs.values()}
    ranked = [job.job_id for job in made.jobs]
    assert sorted(ranked, key=lambda one: touched[one], reverse=True) == ranked
    assert len({touched[one] for one in ranked}) == len(ranked)


# -- corrections ---------------------------------------------------------------------------------


def test_what_people_did_to_each_proposal_is_told(ledger, home):
    server = FakeServer()
    project = server.add_project("cells", ["cell", "debris"])
    server.add_task(project.id, files(0))
    boxes = [(x, 2.0, x + 10.0, 12.0) for x in (0.0, 12.0, 24.0, 36.0, 48.0)]
    told = {PICTURES[0]: [("cell", 0.9 - n / 10, box) for n, box in enumerate(boxes)]}
    detector = ToldDetector(["cell", "debris"], told)
    loop = Loop(FakeGateway(server), ledger, project, home, detector=detector)
    made = loop.run()
    (job,) = made.jobs
    _, nudged, swapped, redrawn, deleted = server.annotations[job.job_id].shapes
    debris = server.label(project.id, "debris").id
    server.edit(job.job_id, nudged["id"], points=[13.0, 2.0, 23.0, 12.0])
    server.edit(job.job_id, swapped["id"], label_id=debris)
    server.edit(job.job_id, redrawn["id"], points=[40.0, 30.0, 60.0, 45.0])
    server.remove(job.job_id, [deleted["id"]])
    added = {"type": "rectangle", "frame": 0, "label_id": debris, "points": [1.0, 30.0, 9.0, 40.0]}
    server.annotate(job.job_id, shapes=[added])
    server.finish(job.job_id)

    found = loop.collect()
    loop.collect()

    assert [(c.outcome, c.proposed_label, c.final_label) for c in ledger.corrections()] == [
        ("added", "", "debris"),
        ("kept", "cell", "cell"),
        ("nudged", "cell", "cell"),
        ("relabelled", "cell", "debris"),
        ("redrawn", "cell", "cell"),
        ("deleted", "cell", ""),
    ]
    whole = CorrectionCounts(
        proposed=5, kept=1, nudged=1, relabelled=1, redrawn=1, deleted=1, added=1
    )
    assert found.total == whole
    assert found.by_model == {MODEL: whole}
    assert found.by_label["debris"] == CorrectionCounts(added=1)
    assert count_corrections(ledger, number=2).total == CorrectionCounts()


def test_a_proposal_that_got_another_id_is_found_by_its_place(loop):
    """An import or a restored backup gives every shape a new id."""
    made = loop.run()
    job = made.jobs[0]
    held = loop.server.annotations[job.job_id].shapes
    loop.server.remove(job.job_id, [shape["id"] for shape in held])
    first, second = ({k: v for k, v in copy.deepcopy(shape).items() if k != "id"} for shape in held)
    second["points"] = [5.0, 5.0, 25.0, 25.0]
    loop.server.annotate(job.job_id, shapes=[first, {**second, "source": "manual"}])
    loop.server.finish(job.job_id)

    assert loop.collect().total == CorrectionCounts(proposed=2, kept=1, nudged=1)


def test_a_job_without_any_proposal_counts_what_people_added(ledger, home):
    server = FakeServer()
    project = server.add_project("cells", ["cell"])
    server.add_task(project.id, files(0))
    detector = ToldDetector(["cell"], {})
    loop = Loop(FakeGateway(server), ledger, project, home, detector=detector)
    (job,) = loop.run().jobs
    label = server.label(project.id, "cell").id
    shape = {"type": "rectangle", "frame": 0, "label_id": label, "points": [1.0, 1.0, 9.0, 9.0]}
    server.annotate(job.job_id, shapes=[shape])
    server.finish(job.job_id)

    assert loop.collect().total == CorrectionCounts(added=1)


# -- killed anywhere -----------------------------------------------------------------------------


def end_state(server, ledger, project):
    """What must be the same however often the round died: names without ids."""
    tasks = [
        (s.task.name.split(" [")[0], [f.name.split("_")[0] for f in s.frames], sorted(s.deleted))
        for _, s in sorted(server.tasks.items())
        if s.task.size
    ]
    shapes = [
        sorted((s["frame"], tuple(s["points"]), s["source"], s["score"]) for s in held.shapes)
        for _, held in sorted(server.annotations.items())
    ]
    ids = {s["id"] for held in server.annotations.values() for s in held.shapes}
    written = [(p.frame, p.points, p.shape_id in ids) for p in ledger.proposals()]
    sources = [(r.frame, r.source_frame, r.rank) for r in ledger.provenance()]
    people = [job.assignee and job.assignee.username for _, job in sorted(server.jobs.items())]
    guide = server.guides[project.id].count("| [job ")
    return tasks, shapes, written, sources, people, guide


WRITES = {
    "create_task",
    "create_annotations",
    "delete_annotations",
    "update_job",
    "set_deleted_frames",
    "set_guide",
}


@pytest.mark.parametrize("mode", ["new_task", "rank_existing"])
def test_a_round_killed_at_any_call_ends_in_the_same_state(tmp_path, mode):
    """No second task, no doubled shape, no label lost.

    The process dies before each call, and after each call that writes (after one that reads is
    before the next).
    """
    settings = RoundSettings(
        budget=2,
        job_size=1,
        selection=SETTINGS.selection,
        mode=mode,
        assignees=("ann", "bob"),
        mark_source_deleted=True,
    )

    def run(at, after):
        server = FakeServer()
        project = server.add_project("cells", ["cell"])
        server.add_task(project.id, files(*range(4)), segment_size=2)
        server.add_user("ann")
        server.add_user("bob")
        home = Home(tmp_path / f"{at}-{after}")
        gateway = DyingGateway(FakeGateway(server), at=at, after=after)
        with Ledger(home.ledger) as ledger:
            loop = Loop(gateway, ledger, project, home, settings)
            # Each step is done once, as the workflow does it: only the one that died runs again.
            for step in (loop.predict, loop.choose, loop.prioritise, loop.preannotate, loop.assign):
                try:
                    step()
                except KilledError:
                    step()
            return gateway.calls, end_state(server, ledger, project)

    calls, expected = run(0, after=False)
    deaths = [(at, False) for at in range(1, len(calls) + 1)]
    deaths += [(at, True) for at, name in enumerate(calls, 1) if name in WRITES]
    assert {name for name in calls if name in WRITES} >= {"create_annotations", "update_job"}

    for at, after in deaths:
        assert run(at, after=after)[1] == expected, f"{calls[at - 1]}, call {at}, {after=}"
