"""The store: the folder through which the bridge tells the host what serves."""

import json
import threading
from pathlib import Path

import pytest

from serverless.errors import StoreError
from serverless.store.confidence import ConfidenceForm
from serverless.store.functions import Entry, FunctionLabel, entries, listing, publish, withdraw


def entry(**changes) -> Entry:
    values = {
        "id": "cells-champion",
        "kind": "detector",
        "name": "Cells, round 3",
        "description": "AP 0.61 on the holdout",
        "bundle": Path("/bundles/abc"),
        "version": "abc",
        "labels": (
            FunctionLabel("rbc", "RBC", "rectangle"),
            FunctionLabel("wbc", "WBC", "mask", ConfidenceForm("number", ("0", "100", "1"))),
        ),
        "min_score": 0.3,
        "annotations": {"help_message": "hello"},
    }
    return Entry(**(values | changes))


def test_what_is_published_comes_back_equal(tmp_path):
    store = tmp_path / "not" / "there yet"

    publish(store, entry(id="b"))
    publish(store, entry(id="a", labels=()))

    assert entries(store) == (entry(id="a", labels=()), entry(id="b"))


def test_an_absent_store_is_empty_but_an_unreadable_one_raises(tmp_path):
    assert entries(tmp_path / "absent") == ()

    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreError, match="file"):
        publish(blocked, entry())


def test_publishing_again_replaces_and_withdrawing_removes(tmp_path):
    publish(tmp_path, entry(version="1"))
    publish(tmp_path, entry(version="2"))

    assert [e.version for e in entries(tmp_path)] == ["2"]

    withdraw(tmp_path, "cells-champion")
    withdraw(tmp_path, "cells-champion")

    assert entries(tmp_path) == ()


def test_a_relative_bundle_counts_from_the_store(tmp_path):
    publish(tmp_path, entry(bundle=Path("../bundles/x")))

    assert entries(tmp_path)[0].bundle == tmp_path / "../bundles/x"


def test_an_interactor_is_named_only_where_there_is_one(tmp_path):
    """An entry without one reads as it did before there were any."""
    publish(tmp_path, entry(id="a", interactor=Path("../bundles/clicks")))
    publish(tmp_path, entry(id="b"))

    assert [e.interactor for e in entries(tmp_path)] == [tmp_path / "../bundles/clicks", None]
    assert "interactor" not in json.loads((tmp_path / "b.json").read_text())
    assert entry().shows_masks
    assert not entry(labels=(FunctionLabel("rbc", "RBC", "ellipse"),)).shows_masks


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("broken.json", "{not json", "not readable as JSON"),
        ("list.json", "[]", "expected a JSON object, found list"),
        ("half.json", '{"id": "half"}', "kind must be text"),
        ("other.json", None, "its id is 'cells-champion'"),
        ("extra.json", {"id": "extra", "wat": 1}, "unknown keys ['wat']"),
        ("score.json", {"id": "score", "min_score": "0.3"}, "min_score must be a number"),
        ("kind.json", {"id": "kind", "kind": "tracker"}, "kind must be one of detector"),
        ("blank.json", {"id": "blank", "description": " "}, "description must not be empty"),
        ("label.json", {"id": "label", "labels": [{"source": "a"}]}, "not an entry"),
        (
            "type.json",
            {"id": "type", "labels": [{"source": "a", "name": "a", "type": "cuboid"}]},
            "type must be one of rectangle",
        ),
    ],
)
def test_a_malformed_file_is_named_with_its_reason_and_leaves_the_others(
    tmp_path, name, text, says
):
    publish(tmp_path, entry())
    good = json.loads((tmp_path / "cells-champion.json").read_text())
    body = text if isinstance(text, str) else json.dumps(good | (text or {}))
    (tmp_path / name).write_text(body)

    found = listing(tmp_path)

    assert found.entries == (entry(),)
    assert [fault.path.name for fault in found.faults] == [name]
    assert says in str(found.faults[0])


@pytest.mark.parametrize("function_id", ["", ".hidden", "a/b", "a b", "..", "ä"])
def test_an_id_that_cvat_cannot_route_is_refused(function_id):
    with pytest.raises(ValueError, match="id must be"):
        entry(id=function_id)


def test_two_labels_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two labels have the name 'x'"):
        entry(labels=(FunctionLabel("a", "x"), FunctionLabel("b", "x")))


def test_a_reader_beside_a_writer_never_sees_half_an_entry(tmp_path):
    publish(tmp_path, entry(version="0"))
    stop = threading.Event()

    def write():
        for version in range(60):
            publish(tmp_path, entry(version=str(version), description="x" * 50_000))
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not stop.is_set():
        found = listing(tmp_path)
        assert found.faults == ()
        seen.append(found.entries[0].id)
    writer.join()

    assert set(seen) == {"cells-champion"}


def test_a_label_written_before_it_knew_an_attribute_shows_its_confidence_as_text(tmp_path):
    publish(tmp_path, entry())
    path = tmp_path / "cells-champion.json"
    content = json.loads(path.read_text())
    for label in content["labels"]:
        del label["confidence"]
    path.write_text(json.dumps(content))

    (found,) = entries(tmp_path)

    assert {label.confidence for label in found.labels} == {ConfidenceForm("text")}
