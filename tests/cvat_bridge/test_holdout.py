from __future__ import annotations

import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cvat_bridge.frames.holdout import LabelledImage, assign, groups_of
from cvat_bridge.ledger.records import Membership
from tests.fakes.images import picture
from trainer.data.fingerprints import (
    WITHIN,
    difference_hash,
    hash_distances,
    near_duplicate_groups,
)
from trainer.data.images import decode


def images(count, **more):
    return [LabelledImage(f"{n:064x}", f"{n:064x}", **more) for n in range(count)]


def decide(labelled, *, known=(), groups=None, share=0.2, salt=""):
    groups = groups or {image.sha256: image.sha256 for image in labelled}
    rows = assign(
        labelled,
        groups=groups,
        known={row.sha256: row for row in known},
        share=share,
        salt=salt,
        since="2026",
    )
    return {row.sha256: row.role for row in rows}


def held(roles):
    return {sha256 for sha256, role in roles.items() if role == "holdout"}


# -- likeness ------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [60, 90])
def test_a_picture_saved_again_smaller_and_lossy_is_a_near_duplicate(quality):
    content = picture(1, width=320, height=240)
    again = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.resize((200, 150)).save(again, format="JPEG", quality=quality)
    first, second = difference_hash(decode(content)), difference_hash(decode(again.getvalue()))
    other = difference_hash(decode(picture(2, width=320, height=240)))

    far = hash_distances([first], [second, other])[0]
    assert far[0] <= WITHIN
    assert far[1] > 60


@settings(max_examples=60, deadline=None)
@given(
    base=st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=8),
    flips=st.lists(
        st.tuples(st.integers(0, 7), st.sets(st.integers(0, 255), max_size=6)), max_size=8
    ),
    within=st.integers(0, 8),
)
def test_groups_are_exactly_the_chains_of_near_duplicates(base, flips, within):
    """Against every pair compared, whatever the bands."""
    codes = list(base)
    for place, bits in flips:
        codes.append(codes[place % len(base)] ^ sum(1 << bit for bit in bits))
    hashes = {f"n{i:02}": f"{code:064x}" for i, code in enumerate(codes)}

    expected = {name: {name} for name in hashes}
    changed = True
    while changed:
        changed = False
        for (a, first), (b, second) in itertools.product(hashes.items(), repeat=2):
            near = (int(first, 16) ^ int(second, 16)).bit_count() <= within
            if near and expected[a] is not expected[b]:
                joined = expected[a] | expected[b]
                for name in joined:
                    expected[name] = joined
                changed = True

    groups = near_duplicate_groups(hashes, within=within)
    assert groups == {name: min(expected[name]) for name in hashes}


@pytest.mark.parametrize("within", [1, 8, 12, 40])
@pytest.mark.parametrize("lit", [0.02, 0.15])
def test_many_images_that_are_alike_in_most_bits_are_grouped_exactly(within, lit):
    """Dark images, a fixed camera: hundreds of codes agree in a band and are divided further."""
    rng = np.random.default_rng(within)
    scenes = rng.random((60, 256)) < lit
    rows = scenes[rng.integers(0, 60, 400)] ^ (rng.random((400, 256)) < within / 600)
    hashes = {f"n{n:03}": np.packbits(row).tobytes().hex() for n, row in enumerate(rows)}

    groups = near_duplicate_groups(hashes, within=within)

    near = (rows[:, None] != rows[None]).sum(axis=2) <= within
    while not np.array_equal(near, closer := near @ near):
        near = closer
    assert groups == {name: f"n{near[n].argmax():03}" for n, name in enumerate(hashes)}


def test_frames_of_a_video_go_by_their_part_not_by_likeness():
    same = "0" * 64
    video = [LabelledImage("a", same, video="v part 0"), LabelledImage("b", same, video="v part 1")]
    stills = [LabelledImage("c", same), LabelledImage("d", same)]

    assert groups_of([*video, *stills], within=0) == {
        "a": "v part 0",
        "b": "v part 1",
        "c": "c",
        "d": "c",
    }


# -- assign --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "expected"), [(2, 1), (5, 1), (10, 2), (101, 21)])
def test_the_share_is_met(count, expected):
    assert len(held(decide(images(count)))) == expected


def test_a_single_image_is_trained_on():
    assert held(decide(images(1))) == set()


def test_no_share_holds_nothing_out():
    assert held(decide(images(10), share=0.0)) == set()


def test_the_order_of_images_does_not_matter_and_the_salt_does():
    labelled = images(40)

    assert decide(labelled) == decide(labelled[::-1])
    assert decide(labelled) != decide(labelled, salt="another")


def test_groups_are_never_split():
    labelled = images(30)
    groups = {image.sha256: f"g{n // 3}" for n, image in enumerate(labelled)}

    roles = decide(labelled, groups=groups)

    for group in set(groups.values()):
        assert len({roles[sha] for sha, name in groups.items() if name == group}) == 1
    assert len(held(roles)) == 6


def test_a_group_far_larger_than_the_share_is_passed_over():
    labelled = images(20)
    groups = {image.sha256: "big" if n < 15 else f"g{n}" for n, image in enumerate(labelled)}

    for salt in map(str, range(8)):
        roles = decide(labelled, groups=groups, salt=salt)
        assert len(held(roles)) == 4
        assert not held(roles) & {image.sha256 for image in labelled[:15]}


def test_what_was_decided_stays_and_newcomers_follow_their_group():
    first, second = images(6)[:2], images(6)[2:]
    known = [
        Membership(first[0].sha256, "holdout", "a", "rule", "2025"),
        Membership(first[1].sha256, "train", "b", "rule", "2025"),
    ]
    groups = {image.sha256: "ab"[n % 2] for n, image in enumerate([*first, *second])}

    roles = decide([*first, *second], known=known, groups=groups)

    assert roles == {
        second[0].sha256: "holdout",
        second[1].sha256: "train",
        second[2].sha256: "holdout",
        second[3].sha256: "train",
    }


def test_frames_that_a_strategy_picked_are_not_drawn_into_the_holdout():
    """They are harder than the data are, so a score on them would mislead."""
    picked = [replace(image, chosen=True) for image in images(20)[:15]]
    drawn = images(20)[15:]

    roles = decide([*picked, *drawn])

    assert len(held(roles)) == 4
    assert held(roles) < {image.sha256 for image in drawn}


def test_what_people_held_out_becomes_holdout_even_after_training():
    (image,) = images(1, held_out=True)
    known = [Membership(image.sha256, "train", "g", "rule", "2025")]

    assert decide([image], known=known) == {image.sha256: "holdout"}


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    share=st.floats(0.0, 0.5),
    seed=st.integers(0, 1000),
)
def test_laws_of_the_holdout(sizes, share, seed):
    """Every image gets a side, something trains, a second call changes nothing, groups hold."""
    labelled = images(sum(sizes))
    names = np.repeat(np.arange(len(sizes)), sizes)
    groups = {image.sha256: f"g{name}" for image, name in zip(labelled, names, strict=True)}
    rows = assign(labelled, groups=groups, known={}, share=share, salt=str(seed), since="2026")
    roles = {row.sha256: row.role for row in rows}

    assert set(roles) == set(groups)
    assert "train" in roles.values()
    assert len({(groups[sha], role) for sha, role in roles.items()}) == len(sizes)
    known = {row.sha256: row for row in rows}
    assert (
        assign(labelled, groups=groups, known=known, share=share, salt=str(seed), since="2027")
        == ()
    )
