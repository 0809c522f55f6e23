"""The pool is read in blocks; what is chosen and recorded is the same for any size of them."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from active_learning.choose import SelectionSettings, choose
from active_learning.pool import ProjectState
from cvat_bridge.database.engine import Database
from cvat_bridge.database.place import Place
from cvat_bridge.database.project_tables import frames as frames_table
from cvat_bridge.errors import LedgerError
from cvat_bridge.evaluations.appearance import AppearanceStore
from cvat_bridge.evaluations.evaluated_frames import FrameLocation
from cvat_bridge.evaluations.pools import PoolImage, record_pool
from cvat_bridge.evaluations.table import read_pool as read_record
from cvat_bridge.frames.mirrored import mirrored
from cvat_bridge.frames.pool_reading import read_pool
from cvat_bridge.frames.prediction_blocks import Column
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.ledger.records import FrameFacts
from cvat_bridge.ledger.tables import Records
from trainer.detections import Detections, Mask
from trainer.embedding import Descriptor

CLASSES = ("cell", "nucleus", "dust")
FRAMES = 41
IMAGES = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(FRAMES)]
KEYS = [f"{1 + n // 10}/{n % 10}" for n in range(FRAMES)]


def found(seed, *, embedded=True):
    """What a model says of a frame: none to four objects, some without probabilities or masks."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 5))
    low = rng.random((count, 2)) * 80
    probabilities = rng.random((count, 3)).astype(np.float32)
    return Detections(
        np.hstack([low, low + 10]).astype(np.float32),
        probabilities.max(axis=1, initial=0),
        probabilities.argmax(axis=1).astype(np.int64),
        probabilities if seed % 3 else None,
        masks=tuple(Mask(np.ones((3, 5), bool), 0, 0) for _ in range(count)) if seed % 2 else None,
        embedding=rng.standard_normal(6).astype(np.float32) if embedded else None,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("predictions")
    for model, seeds in (("m", 0), (mirrored("m"), 1000)):
        with PredictionStore(path, model, labels=CLASSES) as store:
            # Not in the order in which the pool asks.
            store.put({IMAGES[n]: found(seeds + n) for n in reversed(range(FRAMES))})
    with PredictionStore(path, "by") as store:
        store.put({one: Detections.empty(embedding=np.ones(4, np.float32)) for one in IMAGES[:-1]})
        store.put({IMAGES[-1]: Detections.empty(embedding=np.zeros(4, np.float32))})
    return path


def pool_of(folder, *, block, **other):
    known = {"model": "m", "embeddings": "m", "groups": IMAGES, "disagreement": True}
    return read_pool(folder, KEYS, IMAGES, block=block, **(known | other))


@pytest.mark.parametrize("block", [1, 7, FRAMES, 1000])
def test_no_object_and_no_embedding_is_lost_or_moved(folder, block):
    pool = pool_of(folder, block=block)

    assert pool.objects is not None
    for n in range(FRAMES):
        own = slice(*pool.objects.offsets[n : n + 2])
        said = found(n)
        np.testing.assert_array_equal(pool.objects.boxes[own], said.boxes)
        np.testing.assert_array_equal(
            pool.objects.probabilities[own].max(axis=1, initial=0), said.scores
        )
        if said.probabilities is not None:
            np.testing.assert_array_equal(pool.objects.probabilities[own], said.probabilities)
        np.testing.assert_array_equal(pool.embeddings[n], said.embedding)
    whole = pool_of(folder, block=FRAMES)
    np.testing.assert_array_equal(pool.objects.disagreement, whole.objects.disagreement)
    assert pool.objects.disagreement.any()


@pytest.mark.parametrize("strategy", ["auto", "disagreement_diversity", "random"])
def test_the_choice_is_the_same_for_any_block(folder, strategy):
    state = ProjectState(
        labelled=50, trusted=True, class_names=CLASSES, class_counts=np.array([90.0, 5.0, 40.0])
    )
    settings = SelectionSettings(strategy=strategy, class_quotas={"nucleus": 2})

    chosen = [
        choose(pool_of(folder, block=block), budget=12, seed=3, state=state, settings=settings)
        for block in (2, 1000)
    ]

    assert [list(one.ids) for one in chosen[:1]] == [list(one.ids) for one in chosen[1:]]
    assert chosen[0].reasons == chosen[1].reasons
    # The control arm is drawn from the whole pool.
    assert set(chosen[0].weights[chosen[0].arms == "control"]) == {FRAMES / 1}


def test_control_frames_come_from_every_block_alike(folder):
    """Each frame has the inclusion probability that its weight says."""
    pool, rounds, state = pool_of(folder, block=5), 400, ProjectState(labelled=50)
    settings = SelectionSettings(strategy="random", control_share=0.5)
    drawn = np.zeros(FRAMES)

    for seed in range(rounds):
        chosen = choose(pool, budget=10, seed=seed, state=state, settings=settings)
        control = chosen.arms == "control"
        drawn += np.isin(KEYS, chosen.ids[control])
        assert set(chosen.weights[control]) == {FRAMES / 5}

    expected = rounds * 5 / FRAMES
    assert abs(drawn - expected).max() < 5 * np.sqrt(expected)
    thirds = [part.sum() / len(part) / expected for part in np.array_split(drawn, 3)]
    assert thirds == pytest.approx([1, 1, 1], abs=0.1)


def test_embeddings_of_another_are_read_beside_the_objects(folder):
    pool = pool_of(folder, block=4, embeddings="by")

    assert pool.objects is not None
    assert pool.embeddings.sum(axis=1).tolist() == [4.0] * (FRAMES - 1) + [0.0]
    assert pool_of(folder, block=4, model=None, embeddings="by").objects is None


def test_a_frame_without_an_embedding_leaves_the_pool_without(folder, tmp_path):
    with PredictionStore(tmp_path, "m", labels=CLASSES) as store:
        store.put({one: found(n, embedded=n != 20) for n, one in enumerate(IMAGES)})

    assert pool_of(tmp_path, block=4, disagreement=False).embeddings is None


def test_an_image_that_was_never_predicted_is_named(folder):
    with pytest.raises(LedgerError, match="nothing of the image " + "f" * 64):
        read_pool(folder, ["1/1"], ["f" * 64], groups=["a"], model="m", embeddings="m")


def test_a_large_column_lies_in_a_file_and_is_the_same(tmp_path):
    rows = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    small, large = Column(tmp_path, (3,)), Column(tmp_path, (3,), most=100)
    for start in range(0, 50, 7):
        for column in (small, large):
            column.append(rows[start : start + 7])

    assert isinstance(large.array().base, np.memmap)
    np.testing.assert_array_equal(large.array(), rows)
    np.testing.assert_array_equal(small.array(), rows)
    assert not list(tmp_path.iterdir())


def test_what_the_pool_holds_is_recorded_the_same_for_any_piece(folder, ledger, home):
    home.predictions.parent.mkdir(parents=True, exist_ok=True)
    home.predictions.symlink_to(folder)
    places = [
        PoolImage(FrameLocation(1, n, 1, one, ".png", 100, 100, group=f"g{n // 3}"), "0" * 64)
        for n, one in enumerate(IMAGES)
    ]
    with AppearanceStore(home.judged, Descriptor()) as appearance:
        pixels = {one: np.full((100, 100, 3), n, np.uint8) for n, one in enumerate(IMAGES[:30])}
        boxes = {
            one: appearance.pictures(pixels[one], found(n).boxes[:8])
            for n, one in enumerate(pixels)
        }
        appearance.see("m", pixels, boxes)
        small, large = (
            record_pool(
                *(home, ledger, places),
                model="m",
                number=1,
                appearance=appearance,
                now="now",
                piece=piece,
            )
            for piece in (4, 1000)
        )

    assert (small.file, small.crops) == (large.file, large.crops)
    table = read_record(home.judged, small.file)
    assert len(table.frames) == FRAMES
    assert table.frames.group.tolist() == [n // 3 for n in range(FRAMES)]
    assert len(table.answers) == sum(len(found(n).scores) for n in range(FRAMES))
    assert table.answers.frame.max() > 4


def test_the_ledger_gives_every_frame_in_blocks(ledger):
    rows = [FrameFacts(f"{n}/1", n, 1, IMAGES[n], ".png", 9, 9, "0" * 64) for n in range(20)]
    ledger.add_frames(rows)
    database = Database(Place("project", file=ledger.place.file))
    try:
        records = Records(database, frames_table, FrameFacts)
        for size in (1, 7, 10, 20, 50):
            blocks = list(records.blocks("key", size=size))
            assert max(map(len, blocks)) <= size
            assert [row for block in blocks for row in block] == sorted(rows, key=lambda r: r.key)
    finally:
        database.close()
    assert ledger.frames() == {row.key: row for row in rows}
