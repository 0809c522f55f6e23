"""Eighty classes that CVAT does not have are one line."""

from __future__ import annotations

from cvat_bridge.annotate.messages import join_names, not_written

MISSING = "CVAT has no such label; add one to the task or project, or give --map {}=LABEL"


def test_classes_with_one_fate_are_one_line_with_the_commonest_first():
    reasons = {f"c{n}": MISSING.format(f"c{n}") for n in range(78)}
    counts = {"c7": 200, "c1": 40}

    (line,) = not_written(reasons, counts)

    assert line.startswith("78 classes: 240 objects not written: c7 (200), c1 (40), c0 (0)")
    assert line.endswith("and 73 more: " + MISSING.format("CLASS"))


def test_each_reason_has_its_own_line_and_a_single_class_its_own_advice():
    reasons = {"a": "left out, as --map asks", "b": MISSING.format("b")}

    assert not_written(reasons, {"b": 3}) == [
        "class a: 0 objects not written: left out, as --map asks",
        f"class b: 3 objects not written: {MISSING.format('b')}",
    ]


def test_few_names_are_all_listed():
    assert join_names(["a", "b"]) == "a, b"
