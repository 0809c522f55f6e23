"""The Nuclio handler, driven through nuclio_sdk's own event, context and response types."""

import json
import logging
from pathlib import Path

import nuclio_sdk
import pytest

from serverless.errors import ModelError
from serverless.handler import make_handler
from serverless.store.folders import entry_of as entry_of_yaml
from serverless.store.functions import FunctionLabel, publish
from tests.serverless.fakes import (
    Scripted,
    bundle,
    detections,
    entry_of,
    model_of,
    request,
)
from trainer.bundles.bundle import read_bundle

YAML = """
metadata:
  name: "cells"
  annotations:
    name: "Cells"
    type: "{kind}"
    spec: '[{{"name": "cell", "type": "rectangle"}}, {{"name": "platelet", "type": "polygon"}}]'
"""


def scripted_load(entry):
    """Stand in for the engines: a model whose answer names its version by its score."""
    made = read_bundle(entry.bundle, version=entry.version)
    weights = made.file("model.onnx").read_text()
    if weights == "broken":
        raise ModelError("the weights are broken")
    score = 0.9 if weights == "new" else 0.6
    return model_of(made, Scripted(lambda _: detections((1, 2, 9, 9, score, 0))))


@pytest.fixture
def function_yaml(tmp_path) -> Path:
    path = tmp_path / "function.yaml"
    path.write_text(YAML.format(kind="detector"))
    return path


def worker(function_yaml, environment):
    init_context, handler = make_handler(function_yaml, environment=environment, load=scripted_load)
    context = nuclio_sdk.Context(logger=nuclio_sdk.Logger(level=logging.CRITICAL))
    init_context(context)

    def call(body, content_type="application/json"):
        event = nuclio_sdk.Event(body=body, content_type=content_type, method="POST", path="/")
        output = nuclio_sdk.Response.from_entrypoint_output(json.dumps, handler(context, event))
        assert output["content_type"] == "application/json"
        assert output["body_encoding"] == "text"
        return output["status_code"], json.loads(output["body"])

    return call


def test_a_list_leaves_as_json_and_not_as_pythons_repr(tmp_path, function_yaml):
    call = worker(function_yaml, {"BUNDLE": str(bundle(tmp_path / "one").path)})

    status, body = call(request())

    assert status == 200
    assert [(item["label"], item["type"]) for item in body] == [("cell", "rectangle")]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain", None])
def test_a_body_that_nuclio_left_as_bytes_is_read_all_the_same(
    tmp_path, function_yaml, content_type
):
    call = worker(function_yaml, {"BUNDLE": str(bundle(tmp_path / "one").path)})

    assert call(json.dumps(request()).encode(), content_type) == call(request())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        ({}, "image must be"),
        (None, "JSON object"),
    ],
)
def test_a_bad_request_is_a_400_with_a_message(tmp_path, function_yaml, body, says):
    call = worker(function_yaml, {"BUNDLE": str(bundle(tmp_path / "one").path)})

    status, answer = call(body)

    assert status == 400
    assert says in answer["error"]


def test_a_frame_that_cannot_be_read_ends_no_annotation_of_a_task(tmp_path, function_yaml):
    """CVAT ends at the first answer that is no list; this one is an empty list that says why."""
    call = worker(function_yaml, {"BUNDLE": str(bundle(tmp_path / "one").path)})

    assert call({"image": "aGVsbG8="}) == (200, [])


def test_a_model_that_fails_is_a_500_and_not_an_empty_answer(tmp_path, function_yaml):
    def fails(_):
        raise RuntimeError("boom")

    made = bundle(tmp_path / "one")
    init_context, handler = make_handler(
        function_yaml,
        environment={"BUNDLE": str(made.path)},
        load=lambda _: model_of(made, Scripted(fails)),
    )
    context = nuclio_sdk.Context(logger=nuclio_sdk.Logger(level=logging.CRITICAL))
    init_context(context)

    found = handler(context, nuclio_sdk.Event(body=request()))

    assert found.status_code == 500
    assert "RuntimeError: boom" in json.loads(found.body)["error"]


def test_a_worker_without_a_model_does_not_start(function_yaml, tmp_path):
    with pytest.raises(ModelError, match="set BUNDLE"):
        worker(function_yaml, {})
    with pytest.raises(ModelError, match="no such folder"):
        worker(function_yaml, {"BUNDLE": str(tmp_path / "absent")})


def test_a_label_that_the_model_does_not_know_stops_the_worker(tmp_path, function_yaml):
    made = bundle(tmp_path / "one", labels=("cell", "nucleus"))

    with pytest.raises(ModelError, match="shows platelet"):
        worker(function_yaml, {"BUNDLE": str(made.path)})


def test_a_worker_follows_the_store_and_keeps_the_old_model_when_the_new_is_broken(
    tmp_path, function_yaml
):
    store = tmp_path / "store"
    publish(store, entry_of(bundle(tmp_path / "old", weights=b"old")))
    call = worker(function_yaml, {"STORE": str(store), "FUNCTION_ID": "cells"})
    seen = [call(request())[1][0]["confidence"]]

    publish(store, entry_of(bundle(tmp_path / "bad", weights=b"broken")))
    seen.append(call(request())[1][0]["confidence"])
    publish(store, entry_of(bundle(tmp_path / "new", weights=b"new")))
    seen.append(call(request())[1][0]["confidence"])

    assert seen == ["0.6000", "0.6000", "0.9000"]


def test_a_label_renamed_in_the_store_shows_without_a_new_model(tmp_path, function_yaml):
    store = tmp_path / "store"
    made = bundle(tmp_path / "old", weights=b"old")
    publish(store, entry_of(made))
    call = worker(function_yaml, {"STORE": str(store), "FUNCTION_ID": "cells"})

    publish(store, entry_of(made, labels=(FunctionLabel("cell", "Erythrocyte", "rectangle"),)))

    assert [item["label"] for item in call(request())[1]] == ["Erythrocyte"]


def test_a_folders_label_tells_the_form_of_its_confidence(tmp_path):
    """An annotator's slider of 0 to 100 in function.yaml is filled as CVAT takes it."""
    made = bundle(tmp_path / "bundle")
    number = {"name": "confidence", "input_type": "number", "values": ["0", "100", "1"]}
    labels = [{"name": "cell", "type": "rectangle", "attributes": [number]}]
    annotations = {"name": "Cells", "type": "detector", "spec": json.dumps(labels)}
    content = {"metadata": {"name": "cells", "annotations": annotations}}
    path = tmp_path / "function.yaml"
    path.write_text(json.dumps(content))  # JSON is YAML

    entry = entry_of_yaml(path, made.path)

    assert entry.labels[0].confidence.write(0.876) == "88"
    assert entry.labels[0].confidence.spec() == number
