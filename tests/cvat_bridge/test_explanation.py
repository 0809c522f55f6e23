"""Why no model serves, in words: from figures that a test sets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cvat_bridge.ledger.records import RankedJob, Round
from cvat_bridge.loop.people.guide_section import section
from cvat_bridge.loop.trust.evidence import ObjectSize, curve_of, object_size
from cvat_bridge.loop.trust.explanation import Situation, explain, explain_to_annotators
from cvat_bridge.loop.trust.levels import ModelTrust, trust_of
from cvat_bridge.settings import RoundSettings
from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.gate.gate_settings import GateSettings
from trainer.gate.usefulness import Usefulness, UsefulnessScore

NONE, INFORMS = ModelTrust("none", None), ModelTrust("informs", "m1")


def found(ap50: float | None, low: float = 0.0, objects: int = 40, frames: int = 12) -> Usefulness:
    return Usefulness(frames, UsefulnessScore(ap50, low, objects), {})


SHARKS = Situation(
    NONE,
    GateSettings(),
    found=found(0.05),
    size=ObjectSize(14.0, (144, 192), most=4.0),
    examples={"fish": 200, "shark": 3},
    curve=((40, 0.02), (80, 0.05), (120, 0.07)),
)


def test_the_cause_and_all_that_would_change_it_are_told_once_and_in_order():
    told = explain(SHARKS)

    assert told[0] == (
        "The model does not serve yet: AP50 0.05 on 12 holdout frames, 0.20 is needed."
    )
    assert told[1] == (
        "Objects are 14 px wide at the model's input of 144 x 192: a larger input would help "
        "(trainer.image_size: [352, 448])."
    )
    assert told[2] == "'shark' has 3 labelled examples; 20 are a fair start."
    assert told[3].startswith("Expected AP50 after the next 100 labels: 0.")
    assert "(from the curve over 3 rounds)" in told[3]
    assert len(told) == 4


def test_the_expected_figure_is_that_of_the_curve():
    law = [(n, 0.8 - 2.0 * n**-0.5) for n in (25, 50, 100)]

    told = " ".join(explain(replace(SHARKS, curve=tuple(law))))

    assert f"{0.8 - 2.0 * 200**-0.5:.2f} (from the curve" in told
    assert "levels off" not in told


def test_a_curve_that_levels_off_below_the_floor_says_that_labels_will_not_do():
    flat = ((40, 0.08), (80, 0.081), (160, 0.08))

    assert "more labels alone will not do" in " ".join(explain(replace(SHARKS, curve=flat)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"found": found(0.3, 0.02)}, "may be luck (its lower end is 0.02, 0.10 is needed)"),
        ({"found": found(0.9, 0.4, objects=3)}, "3 objects in the holdout are too few"),
        ({"found": found(None, objects=0)}, "the holdout shows no object to judge it by"),
        ({"found": None, "reason": "5 frames to train on, 8 are needed"},
         "No model serves yet: 5 frames to train on, 8 are needed."),
        (
            {"settings": GateSettings(min_first_metric=0.3)},
            "AP 0.30 is asked (promotion.min_first_metric)",
        ),
    ],
)  # fmt: skip
def test_each_cause_has_its_own_words(change, words):
    assert words in explain(replace(SHARKS, **change))[0]


def test_a_weak_model_that_chooses_frames_says_so():
    told = explain(replace(SHARKS, trust=INFORMS))

    assert "already helps to choose frames, with more of them at random (40%)" in told[1]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (ObjectSize(40.0, (144, 192), 4.0), None),
        (None, None),
        (ObjectSize(14.0, (144, 192), 1.0), "shows the images in full already"),
        (ObjectSize(14.0, (144, 192), 1.5), "[224, 288]"),
    ],
)
def test_a_larger_input_is_advised_only_as_far_as_the_images_hold_more(size, words):
    told = " ".join(explain(replace(SHARKS, size=size)))

    assert (words in told) if words else ("px wide" not in told)


@pytest.mark.parametrize(
    ("backend", "device", "gpu", "told"),
    [
        ("centernet", "cpu", True, True),
        ("centernet", "0", True, True),
        ("yolo", "cpu", True, True),
        ("yolo", "0", True, False),
        ("centernet", "cpu", False, False),
    ],
)
def test_a_stronger_backend_is_advised_where_a_gpu_is_there_for_it(backend, device, gpu, told):
    words = " ".join(explain(replace(SHARKS, backend=backend, device=device, gpu=gpu)))

    assert ("has a GPU" in words) is told


def test_of_many_rare_classes_the_rarest_are_named():
    examples = {f"c{n}": n for n in range(8)}

    told = " ".join(explain(replace(SHARKS, examples=examples)))

    assert "'c0' has 0, 'c1' has 1 and 'c2' has 2 labelled examples (5 other classes" in told


def test_a_model_that_serves_tells_only_what_it_withholds():
    serves = replace(SHARKS, trust=ModelTrust("serves", "m1", {"shark": "AP50 is 0.02"}))

    assert explain(serves) == (
        "The model serves, but does not pre-annotate 'shark': AP50 is 0.02.",
    )
    assert explain(replace(serves, trust=ModelTrust("serves", "m1"))) == ()
    assert explain_to_annotators(replace(serves, trust=ModelTrust("serves", "m1"))) == ""


def test_annotators_are_told_in_their_words_and_only_what_they_can_see():
    told = explain_to_annotators(SHARKS)

    assert told == (
        "Nothing is drawn in advance yet: the model still learns from the jobs you finish. "
        "It has seen few examples of 'shark'."
    )
    assert "AP" not in told
    assert explain_to_annotators(SHARKS, pre_annotation=False) == ""


def test_the_guide_holds_it_above_the_jobs():
    job = RankedJob(1, 5, 2, (0, 1), (0.5, 0.4), "ranks 1-2: unsure")

    settings = RoundSettings()

    told = section([job], number=3, settings=settings, about_model="Please draw these.")
    silent = section([job], number=3, settings=settings)

    assert told.index("## Jobs of round 3") < told.index("Please draw") < told.index("| 1 |")
    assert "unsure" not in told
    assert told.replace("Please draw these.\n\n", "") == silent


def test_objects_are_measured_as_the_network_sees_them():
    """Fit as a whole: 400 x 200 into 100 x 100 is a quarter of the size."""
    images = [
        AnnotatedImage(
            "a.png", 400, 200, objects=(AnnotatedObject(0, (0.0, 0.0, 80.0, 20.0)),) * 3
        ),
        AnnotatedImage("b.png", 400, 200),
    ]

    assert object_size(images, (100, 100)) == ObjectSize(pytest.approx(10.0), (100, 100), 4.0)
    assert object_size(images[1:], (100, 100)) is None


def test_the_curve_is_of_the_rounds_that_learnt_and_were_judged():
    rounds = [
        Round(1, 1, "done", figures={"train": 10, "challenger": {"ap": 0.1, "ap50": 0.2}}),
        Round(2, 1, "done", figures={"train": 20, "challenger": None}),
        Round(3, 1, "done", figures={}),
        Round(4, 1, "done", figures={"train": 30, "challenger": {"ap": 0.2, "ap50": 0.3}}),
    ]

    assert curve_of(rounds) == ((10, 0.2), (30, 0.3))


def test_a_model_that_a_person_promoted_is_not_called_proven():
    """Whoever puts it there, only a holdout shows that it is good."""
    settings = GateSettings()
    by_hand = trust_of("m2", None, settings, by_class=True, gated=False)
    shown_good = trust_of("m2", ("m2", found(0.6, 0.5)), settings, by_class=True, gated=False)
    shown_weak = trust_of("m2", ("m2", found(0.05)), settings, by_class=True, gated=False)

    assert [t.proven for t in (by_hand, shown_good, shown_weak)] == [False, True, False]
    assert ModelTrust.of_answer({"trust": by_hand.to_json()}) == by_hand
    (told,) = explain(Situation(by_hand, settings))
    assert "because a person promoted it: no holdout has shown" in told
    (told,) = explain(Situation(shown_weak, settings, found=found(0.05)))
    assert "AP50 0.05, 0.20 would be useful" in told
    assert "look at each object closely" in explain_to_annotators(Situation(by_hand, settings))
    assert explain(Situation(shown_good, settings)) == ()
