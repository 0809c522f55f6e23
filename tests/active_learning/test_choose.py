"""The round's one call: phases, control arm, caps, veto, quotas, need, cost, reasons, memmaps."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from active_learning import strategies
from active_learning.choose import SelectionSettings, choose
from active_learning.control import control_size, estimate
from active_learning.errors import EmptyPoolError, InvalidPoolError, UnknownStrategyError
from active_learning.measures.confident import confident_objects
from active_learning.measures.cost import CostModel
from active_learning.pool import Objects, Pool, ProjectState, Selection
from tests.contract.test_strategies import make_pool

TRUSTED = ProjectState(labelled=100, trusted=True, class_names=("a", "b", "c"))
NO_CONTROL = SelectionSettings(control_share=0.0, near_duplicate=None)


def batch(pool, budget, *, state=TRUSTED, settings=NO_CONTROL, seed=0) -> Selection:
    return choose(pool, budget=budget, seed=seed, state=state, settings=settings)


def test_without_a_trusted_model_it_starts_cold():
    found = batch(make_pool(0, 40), 5, state=ProjectState())

    assert (found.phase, found.strategy) == ("cold start", "typiclust")
    assert found.notes["phase"] == "no trusted model yet"


def test_with_a_trusted_model_it_weighs_uncertainty_and_diversity():
    found = batch(make_pool(0, 40), 5)

    assert (found.phase, found.strategy) == ("uncertainty and diversity", "uncertainty_diversity")


def test_too_few_labels_keep_it_cold():
    found = batch(make_pool(0, 40), 5, settings=replace(NO_CONTROL, min_labelled=101))

    assert found.strategy == "typiclust"
    assert found.notes["phase"] == "100 labelled frames, fewer than 101"


def test_a_model_that_proposes_nothing_keeps_it_cold():
    pool = replace(make_pool(0, 9), objects=Objects(np.zeros(10, int), np.zeros((0, 3))))

    assert batch(pool, 5).notes["phase"] == "the model proposes no object in the whole pool"


def test_without_embeddings_it_says_what_it_does_instead():
    pool = replace(make_pool(0, 40), embeddings=None)

    informed, cold = batch(pool, 5), batch(pool, 5, state=ProjectState())

    assert informed.strategy == "entropy_topk_mean"
    assert "no embeddings for diversity" in informed.notes["strategy"]
    assert cold.strategy == "random"
    assert "no embeddings to compare" in cold.notes["strategy"]


def test_a_named_strategy_is_used_as_named():
    found = batch(make_pool(0, 40), 5, settings=replace(NO_CONTROL, strategy="margin_max"))
    alone = strategies.strategy("margin_max")(
        make_pool(0, 40), budget=5, rng=np.random.default_rng(9)
    )

    assert list(found.ids) == list(alone.ids)
    assert found.phase == "set by hand"


@pytest.mark.parametrize(
    ("budget", "share", "expected"),
    [(4, 0.1, 0), (5, 0.1, 1), (20, 0.1, 2), (50, 0.0, 0), (10, 1.0, 10), (3, 0.5, 2)],
)
def test_size_of_the_control_arm(budget, share, expected):
    assert control_size(budget, share) == expected


def test_control_frames_are_spread_and_weighted():
    found = batch(make_pool(0, 200), 20, settings=SelectionSettings(control_share=0.2))

    control = found.arms == "control"
    assert list(np.flatnonzero(control)) == [2, 7, 12, 17]
    assert list(found.weights[control]) == [50] * 4
    assert np.isnan(found.weights[~control]).all()
    assert {r for r, c in zip(found.reasons, control, strict=True) if c} == {
        "drawn at random for the control arm"
    }


@pytest.mark.parametrize(
    ("labelled", "share", "control"),
    [(0, 0.1, 10), (6, 0.1, 8), (24, 0.1, 2), (99, 0.1, 2), (0, 0.0, 0)],
)
def test_a_weak_model_leaves_more_to_chance(labelled, share, control):
    """From a half at none down to the share, linearly up to control_warmup_frames; 0 stays 0."""
    settings = SelectionSettings(control_share=share, control_warmup_frames=30)
    state = replace(TRUSTED, labelled=labelled)

    found = batch(make_pool(0, 200), 20, state=state, settings=settings)

    assert (found.arms == "control").sum() == control
    assert ("control_share" in found.notes) == (control > 2)
    named = replace(settings, strategy="entropy_sum")
    by_hand = batch(make_pool(0, 200), 20, state=state, settings=named)
    assert (by_hand.arms == "control").sum() == (2 if share else 0)


def test_a_model_too_weak_to_serve_chooses_less_and_says_so():
    """The weak share comes instead of the control share; without a control arm there is none."""
    settings = SelectionSettings(control_share=0.1, weak_share=0.4, control_warmup_frames=0)
    curve = ((25, 0.10), (50, 0.10), (100, 0.10))
    state = replace(TRUSTED, weak=True, curve=curve)

    found = batch(make_pool(0, 200), 20, state=state, settings=settings)
    bare = batch(make_pool(0, 200), 20, state=state, settings=replace(settings, control_share=0))
    strong = batch(make_pool(0, 200), 20, settings=settings)

    assert (found.arms == "control").sum() == 8
    assert (bare.arms == "control").sum() == 0
    assert (strong.arms == "control").sum() == 2
    assert found.phase == "uncertainty and diversity of a weak model"
    assert "too weak to serve" in found.notes["phase"]
    assert found.advice.startswith("the model is too weak to serve: 40% of the batch is drawn at")
    assert "consider stopping" not in found.advice
    assert found.strategy == strong.strategy


def test_the_default_prefers_many_doubtful_objects_to_one():
    """Sixty frames with one object in doubt, sixty with six: the six teach more a frame."""
    counts = np.array([1, 6] * 60)
    pool = Pool(
        np.array([f"frame-{i}" for i in range(120)]),
        embeddings=np.random.default_rng(0).normal(size=(120, 8)),
        objects=Objects(
            np.concatenate([[0], counts.cumsum()]), np.full((counts.sum(), 2), [0.5, 0.0])
        ),
    )

    found = batch(pool, 10)

    assert all(int(i.split("-")[1]) % 2 for i in found.ids)


def test_crowded_frames_do_not_win_by_their_number_alone():
    """Ninety frames with three objects, ten with a hundred that are a little less in doubt."""
    counts = np.array([3] * 90 + [100] * 10)
    levels = np.repeat([0.5] * 90 + [0.4] * 10, counts)
    pool = Pool(
        np.array([f"frame-{i:02}" for i in range(100)]),
        embeddings=np.random.default_rng(0).normal(size=(100, 8)),
        objects=Objects(
            np.concatenate([[0], counts.cumsum()]), np.stack([levels, 0 * levels], axis=1)
        ),
    )

    found = batch(pool, 10)
    summed = batch(pool, 10, settings=replace(NO_CONTROL, strategy="uncertainty_diversity_sum"))

    assert not {f"frame-{i}" for i in range(90, 100)} & set(found.ids)
    assert len({f"frame-{i}" for i in range(90, 100)} & set(summed.ids)) >= 6


def one_class(frames: int) -> Pool:
    """Three kinds of frames in shares of six, three and one, their first ones in most doubt."""
    kinds = np.repeat([0, 1, 2], [frames * 6 // 10, frames * 3 // 10, frames // 10])
    spread = np.random.default_rng(0).normal(size=(len(kinds), 6))
    return Pool(
        np.array([f"{kind}-{i:03}" for i, kind in enumerate(kinds)]),
        embeddings=40 * np.eye(6)[kinds] + spread,
        objects=Objects(np.arange(len(kinds) + 1), np.linspace(0.5, 0.99, len(kinds))[:, None]),
    )


def test_with_one_class_frames_of_each_kind_are_drawn_at_random_and_it_is_said():
    state = ProjectState(labelled=100, trusted=True, class_names=("cell",))
    batches = [batch(one_class(100), 9, state=state, seed=seed) for seed in range(40)]

    assert batches[0].strategy == "stratified_random"
    assert "selection saves nothing here" in batches[0].advice
    assert "uncertainty alone saved no labels" in batches[0].notes["strategy"]
    for found in batches:
        assert np.bincount([int(i[0]) for i in found.ids]).tolist() == [5, 3, 1]
    # The least doubted frames of a kind come as often as the most doubted ones.
    times = Counter(i for found in batches for i in found.ids if i[0] == "0")
    half = sum(times[f"0-{i:03}"] for i in range(30)) / sum(times.values())
    assert 0.35 < half < 0.65


def test_with_one_class_a_strategy_set_by_hand_is_kept():
    state = ProjectState(labelled=100, trusted=True, class_names=("cell",))
    by_hand = replace(NO_CONTROL, strategy="uncertainty_diversity")

    found = batch(one_class(100), 9, state=state, settings=by_hand)

    assert (found.strategy, found.advice) == ("uncertainty_diversity", "")


def test_a_batch_that_takes_the_whole_pool_says_that_nothing_was_chosen():
    assert "the rest of the pool" in batch(make_pool(0, 30), 30).advice
    assert batch(make_pool(0, 30), 29).advice == ""


def test_the_default_does_not_count_faint_candidates():
    """Sixty frames with four objects in doubt (one with two), sixty with a hundred faint each."""
    counts = np.array([4, 100] * 60)
    counts[0] = 2
    levels = np.repeat([0.5, 0.1] * 60, counts)
    pool = Pool(
        np.array([f"frame-{i}" for i in range(120)]),
        embeddings=np.random.default_rng(0).normal(size=(120, 8)),
        objects=Objects(
            np.concatenate([[0], counts.cumsum()]), np.stack([levels, 0 * levels], axis=1)
        ),
    )

    found = batch(pool, 8)
    everything = batch(pool, 8, settings=replace(NO_CONTROL, min_confidence=0.0))

    assert not any(int(i.split("-")[1]) % 2 for i in found.ids)
    assert all(int(i.split("-")[1]) % 2 for i in everything.ids)


def test_believed_candidates_keep_all_that_is_known_of_them():
    objects = Objects(
        np.array([0, 2, 2, 4]),
        np.array([[0.9, 0.1], [0.1, 0.2], [0.1, 0.3], [0.0, 0.0]]),
        boxes=np.arange(16.0).reshape(4, 4),
        disagreement=np.array([0.1, 0.2, 0.3, 0.4]),
    )

    found = confident_objects(objects)

    assert found.offsets.tolist() == [0, 1, 1, 2]
    assert found.probabilities.tolist() == [[0.9, 0.1], [0.1, 0.3]]
    assert found.boxes is not None
    assert found.boxes.tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert found.disagreement is not None
    assert found.disagreement.tolist() == [0.1, 0.3]
    assert confident_objects(objects, least=0) is objects
    with pytest.raises(InvalidPoolError, match=r"min_confidence must lie in 0\.\.1"):
        confident_objects(objects, least=1.5)


def test_every_frame_is_equally_likely_to_be_control():
    """Over many seeds the control arm takes each frame as often, however the strategy likes it."""
    pool = make_pool(0, 20)
    settings = replace(NO_CONTROL, strategy="top_scores", control_share=0.25)
    drawn = Counter()
    for seed in range(700):
        found = batch(pool, 8, seed=seed, settings=settings)
        drawn.update(found.ids[found.arms == "control"].tolist())

    assert set(drawn) == set(pool.ids)
    assert np.array(list(drawn.values())) / 700 == pytest.approx(np.full(20, 0.1), abs=0.05)


def test_estimate_from_the_control_arm_is_unbiased_and_the_plain_mean_is_not():
    pool = make_pool(4, 60)
    truth = dict(zip(pool.ids, pool.scores, strict=True))
    settings = replace(NO_CONTROL, strategy="top_scores", control_share=0.3)
    means, plain, inside = [], [], 0
    for seed in range(200):
        found = batch(pool, 20, seed=seed, settings=settings)
        values = np.array([truth[i] for i in found.ids])
        mean, error = estimate(found, values)
        means.append(mean)
        plain.append(values.mean())
        inside += abs(mean - pool.scores.mean()) < 2.57 * error  # t with 5 degrees of freedom

    assert np.mean(means) == pytest.approx(pool.scores.mean(), abs=0.02)
    assert np.mean(plain) > pool.scores.mean() + 0.1
    assert inside / 200 > 0.9


def test_nothing_to_estimate_from_is_an_error():
    found = batch(make_pool(0, 20), 4)

    with pytest.raises(InvalidPoolError, match="no control frame"):
        estimate(found, np.zeros(4))


def test_a_cap_holds_for_every_group_and_a_short_batch_is_said():
    pool = make_pool(0, 40)
    group = dict(zip(pool.ids, pool.groups, strict=True))

    found = batch(pool, 12, settings=replace(NO_CONTROL, cap_per_group=2))

    assert Counter(group[i] for i in found.ids) == {f"video-{i}": 2 for i in range(4)}
    assert found.notes["cap_per_group"].startswith("4 frames short of the budget: at most 2")


@pytest.mark.parametrize("name", ["entropy_max", "uncertainty_diversity", "k_center", "typiclust"])
def test_near_duplicates_come_last_and_are_said(name):
    """Each of ten scenes stands in the pool four times over, a hair apart."""
    scenes = make_pool(5, 10, width=6, most=3)
    rng = np.random.default_rng(0)
    pool = replace(
        make_pool(6, 40, width=6),
        embeddings=np.repeat(scenes.embeddings, 4, axis=0) + 1e-4 * rng.normal(size=(40, 6)),
    )
    scene = {f"frame-{i}": i // 4 for i in range(40)}

    found = batch(pool, 14, settings=SelectionSettings(strategy=name, control_share=0))

    assert len({scene[i] for i in found.ids[:10]}) == 10
    assert ["nothing else is left" in reason for reason in found.reasons] == [False] * 10 + [
        True
    ] * 4


def test_copies_of_labelled_frames_come_last():
    pool = make_pool(0, 12)
    state = replace(TRUSTED, labelled_embeddings=pool.embeddings[:6])

    found = batch(pool, 12, state=state, settings=SelectionSettings(control_share=0))

    assert {int(i.split("-")[1]) for i in found.ids[:6]} == set(range(6, 12))


def test_copies_of_control_frames_come_last():
    """Every frame stands in the pool twice: no chosen frame is the twin of a control frame."""
    half = make_pool(0, 20, width=6)
    pool = replace(make_pool(1, 40, width=6), embeddings=np.tile(half.embeddings, (2, 1)))

    found = batch(pool, 20, settings=SelectionSettings(strategy="entropy_max", control_share=0.2))

    scene = [int(i.split("-")[1]) % 20 for i in found.ids]
    control = {s for s, arm in zip(scene, found.arms, strict=True) if arm == "control"}
    chosen = [s for s, arm in zip(scene, found.arms, strict=True) if arm == "strategy"]
    assert len(set(chosen)) == len(chosen) == 16
    assert not control & set(chosen)


def test_quotas_come_first_and_are_met():
    pool = make_pool(0, 60)
    p, offsets = pool.objects.probabilities[:, 2], pool.objects.offsets
    shows = {
        name: p[a:b].max(initial=0) >= 0.3
        for name, a, b in zip(pool.ids, offsets[:-1], offsets[1:], strict=True)
    }

    found = batch(pool, 8, settings=replace(NO_CONTROL, class_quotas={"c": 5}))

    assert all(shows[i] for i in found.ids[:5])
    assert "seems to show c, which has a quota" in found.reasons[0]
    with pytest.raises(InvalidPoolError, match="class_quotas names zebra"):
        batch(pool, 8, settings=replace(NO_CONTROL, class_quotas={"zebra": 1}))


def two_kinds() -> Pool:
    """Ten frames with one object of class 0, ten of class 1, the doubts of both 0.5 … 0.41."""
    level = 0.5 - 0.01 * np.arange(10)
    rows = np.zeros((20, 2))
    rows[:10, 0], rows[10:, 1] = level, level
    return Pool(np.array([f"frame-{i}" for i in range(20)]), objects=Objects(np.arange(21), rows))


@pytest.mark.parametrize(
    "knows",
    [{"class_counts": np.array([900, 30])}, {"class_ap": np.array([0.9, 0.3])}],
)
def test_frames_of_the_needed_class_come_first(knows):
    state = replace(TRUSTED, class_names=("common", "rare"), **knows)

    found = batch(two_kinds(), 10, state=state)

    assert {int(i.split("-")[1]) for i in found.ids} == set(range(10, 20))
    assert "may show rare (0.50), which the project needs most" in found.reasons[0]
    mixed = batch(two_kinds(), 10, state=state, settings=replace(NO_CONTROL, class_need=0.0))
    assert {int(i.split("-")[1]) for i in mixed.ids} == {*range(5), *range(10, 15)}


def test_gain_per_second_prefers_the_cheap_of_equal_frames():
    """Both frames have the same most doubtful object; the second has fifty more to verify."""
    rows = np.concatenate([[[0.5]], [[0.5]], np.full((50, 1), 0.99)])
    pool = Pool(np.array(["lone", "crowd"]), objects=Objects(np.array([0, 1, 52]), rows))
    settings = replace(NO_CONTROL, strategy="entropy_sum")

    assert batch(pool, 1, settings=settings).ids[0] == "crowd"
    assert batch(pool, 1, settings=replace(settings, gain_per_second=True)).ids[0] == "lone"


def test_the_time_of_a_frame_by_hand():
    """0.9 is shown: 0.9 verify + 0.1 * (fix + delete) / 2. 0.2 is not: 0.2 * add."""
    from active_learning.measures.cost import expected_seconds

    cost = CostModel(frame=2, verify=1, fix=6, add=10, delete=2)
    objects = Objects(np.array([0, 2, 2]), np.array([[0.9], [0.2]]))

    assert expected_seconds(objects, cost) == pytest.approx([2 + 0.9 + 0.4 + 2, 2])


def test_settings_report_every_fault_at_once():
    with pytest.raises(InvalidPoolError) as caught:
        SelectionSettings(control_share=2, cap_per_group=0, candidates=0.5, empty_frame_quantile=-1)

    for name in ("control_share", "cap_per_group", "candidates", "empty_frame_quantile"):
        assert name in str(caught.value)


def test_bad_calls_are_named():
    with pytest.raises(EmptyPoolError):
        batch(Pool(np.zeros(0, "<U1")), 3)
    with pytest.raises(InvalidPoolError, match="budget"):
        batch(make_pool(0, 5), 0)
    with pytest.raises(UnknownStrategyError, match="typiclust"):
        batch(make_pool(0, 5), 1, settings=replace(NO_CONTROL, strategy="hardest"))


@pytest.mark.parametrize("budget", [1, 4, 5, 30, 99])
def test_budgets_up_to_and_above_the_pool(budget):
    found = batch(make_pool(0, 30), budget, settings=SelectionSettings())

    assert len(set(found.ids)) == len(found.ids) == min(budget, 30)


def test_one_frame():
    assert list(batch(make_pool(0, 1), 5, settings=SelectionSettings()).ids) == ["frame-0"]


def test_reorder_does_not_change_the_batch():
    pool = make_pool(8, 50)
    order = np.random.default_rng(0).permutation(50)
    from tests.contract.test_strategies import reorder

    shuffled = reorder(pool, order, pool.ids[order])

    one = batch(pool, 15, settings=SelectionSettings())
    other = batch(shuffled, 15, settings=SelectionSettings())
    assert list(one.ids) == list(other.ids)
    assert list(one.arms) == list(other.arms)


def test_a_pool_on_disk_gives_the_batch_of_the_pool_in_memory(tmp_path):
    pool = make_pool(2, 3000, width=16)
    small = pool.embeddings.astype(np.float32)
    stored = np.memmap(tmp_path / "rows.bin", np.float32, "w+", shape=small.shape)
    stored[:] = small
    for name in ("uncertainty_diversity", "k_center", "k_means_pp", "typiclust"):
        settings = SelectionSettings(strategy=name)
        in_memory = batch(replace(pool, embeddings=small), 20, settings=settings)
        on_disk = batch(replace(pool, embeddings=stored), 20, settings=settings)
        assert list(on_disk.ids) == list(in_memory.ids)


def test_a_strategy_of_the_teams_own_gets_its_control_arm_too():
    """A plain function in the table: choose takes the control frames out of its answer."""

    def by_name(pool, *, budget, rng):
        ids = np.sort(pool.ids)[:budget]
        return Selection(
            ids=ids,
            scores=np.zeros(len(ids)),
            reasons=("by name",) * len(ids),
            arms=np.full(len(ids), "strategy"),
            weights=np.full(len(ids), np.nan),
            strategy="by_name",
        )

    strategies.STRATEGIES["by_name"] = by_name
    try:
        found = batch(make_pool(0, 30), 10, settings=SelectionSettings(strategy="by_name"))
    finally:
        del strategies.STRATEGIES["by_name"]

    own = found.ids[found.arms == "strategy"]
    assert Counter(found.arms.tolist()) == {"strategy": 9, "control": 1}
    left = sorted(set(make_pool(0, 30).ids) - set(found.ids[found.arms == "control"]))
    assert list(own) == left[:9]


def ranked_by(order, *, seen=None):
    """A strategy of the team's own: the pool's rows in that order, whatever the budget."""

    def own(pool, *, budget, rng, context):
        if seen is not None:
            seen.append((budget, context))
        rows = np.asarray(order)[:budget]
        return Selection(
            ids=pool.ids[rows],
            scores=-rows.astype(float),
            reasons=tuple(f"row {row}" for row in rows),
            arms=np.full(len(rows), "strategy"),
            weights=np.full(len(rows), np.nan),
            strategy="own",
        )

    return own


@pytest.fixture
def with_own():
    """Offer a strategy under the name "own" for one test."""

    def offer(call):
        strategies.STRATEGIES["own"] = call

    yield offer
    strategies.STRATEGIES.pop("own", None)


def test_a_strategy_of_the_teams_own_keeps_to_the_cap_of_a_group(with_own):
    pool = replace(make_pool(0, 30), groups=np.repeat(["a", "b", "c"], 10))
    with_own(ranked_by(range(30)))

    found = batch(pool, 6, settings=replace(NO_CONTROL, strategy="own", cap_per_group=2))

    assert list(found.ids) == list(pool.ids[[0, 1, 10, 11, 20, 21]])
    assert found.reasons == ("row 0", "row 1", "row 10", "row 11", "row 20", "row 21")


def test_a_strategy_of_the_teams_own_gets_no_near_duplicates_while_others_are_left(with_own):
    pool = make_pool(0, 12)
    embeddings = np.asarray(pool.embeddings).copy()
    embeddings[1:9] = embeddings[0]
    pool = replace(pool, embeddings=embeddings)
    with_own(ranked_by(range(12)))

    found = batch(pool, 5, settings=replace(NO_CONTROL, strategy="own", near_duplicate=0.0))

    assert list(found.ids) == list(pool.ids[[0, 9, 10, 11, 1]])
    assert found.reasons[-1] == "row 1; a near-duplicate, taken because nothing else is left"


def test_a_strategy_of_the_teams_own_fills_class_quotas_first(with_own):
    """Only the last frame shows class c: it is in the batch though the ranking ends with it."""
    probabilities = np.tile([0.9, 0.05, 0.05], (20, 1))
    probabilities[-1] = [0.05, 0.05, 0.9]
    pool = Pool(
        ids=np.array([f"{n:02}" for n in range(20)]), objects=Objects(np.arange(21), probabilities)
    )
    with_own(ranked_by(range(20)))

    found = batch(pool, 3, settings=replace(NO_CONTROL, strategy="own", class_quotas={"c": 1}))

    assert list(found.ids) == ["00", "01", "19"]
    assert found.reasons[-1] == "row 19; seems to show c, which has a quota"


def test_a_strategy_of_the_teams_own_that_asks_for_it_is_told_need_and_seconds(with_own):
    seen = []
    with_own(ranked_by(range(30), seen=seen))
    pool = make_pool(0, 30)
    settings = replace(NO_CONTROL, strategy="own", gain_per_second=True)

    state = replace(TRUSTED, class_counts=np.array([90.0, 9.0, 1.0]))
    batch(pool, 4, state=state, settings=settings)

    [(budget, context)] = seen
    assert budget == 4
    assert context.class_names == TRUSTED.class_names
    assert context.class_need.argmax() == 2
    assert context.seconds.shape == (30,) and (context.seconds > 0).all()


def test_a_strategy_of_the_teams_own_that_names_a_frame_twice_is_refused(with_own):
    with_own(ranked_by([0, 0, 1]))

    with pytest.raises(InvalidPoolError, match="a frame twice"):
        batch(make_pool(0, 9), 3, settings=replace(NO_CONTROL, strategy="own"))


def test_reasons_are_true():
    """The most doubtful object is named with its class and score, and the share is counted."""
    level = np.linspace(0.02, 0.5, 50)
    pool = Pool(
        np.array([f"frame-{i}" for i in range(50)]), objects=Objects(np.arange(51), level[:, None])
    )
    state = replace(TRUSTED, class_names=("cell",))

    found = batch(pool, 2, state=state, settings=replace(NO_CONTROL, strategy="entropy_max"))

    assert found.reasons[0] == (
        "more informative than 98 % of the pool; least sure of cell at 0.50 among 1 candidate"
    )
    assert found.reasons[1].startswith("more informative than 96 % of the pool")
