"""Our models through cvat-sdk's function protocol: cvat-cli as it is, and what agents call."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import cvat_sdk.auto_annotation as cvataa
import numpy as np
import pytest
from cvat_sdk.core.client import Client
from PIL import Image

from cvat_bridge import function
from cvat_bridge.errors import ConfigError
from cvat_bridge.sandbox import Sandbox
from serverless.store.functions import Entry, FunctionLabel, publish
from tests.cvat_bridge.sandbox.test_cli import _cli
from tests.fakes.enterprise import enterprise
from tests.serverless.bright_spots import bright_spots, picture
from trainer.bundles.bundle import Bundle

CONFIDENCE = {"name": "confidence", "input_type": "number", "mutable": False,
              "default_value": "0", "values": ["0", "100", "1"]}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bright_spots(tmp_path_factory.mktemp("function") / "spots", gain=8.0)


@dataclass
class Context:
    frame_name: str = "x.png"
    conf_threshold: float | None = None
    conv_mask_to_poly: bool = False


def test_cvat_cli_annotates_a_task_with_scores_and_confidence(
    sandbox: Sandbox, client: Client, bundle: Bundle, tmp_path: Path
) -> None:
    """The unmodified command line; labels, attribute and threshold go the ways it has."""
    for n, spots in enumerate([[(1, 1, 0)], [(4, 4, 1), (6, 2, 0)]]):
        cv2.imwrite(str(tmp_path / f"{n}.png"), picture(*spots)[..., ::-1])
    labels = [
        {"name": name, "type": "polygon", "attributes": [CONFIDENCE]} for name in ("red", "green")
    ]
    files = [tmp_path / "0.png", tmp_path / "1.png"]
    task = client.tasks.create_from_data({"name": "by cli", "labels": labels}, files)

    _cli(sandbox, "task", "auto-annotate", str(task.id),
         "--function-module", "cvat_bridge.function", "-p", f"model=str:{bundle.path}",
         "-p", "label_type=str:polygon", "-p", "confidence=str:number:0,100,1",
         "--conf-threshold", "0.9")  # fmt: skip

    shapes = task.get_annotations().shapes
    score = 1 / (1 + np.exp(-4.0))
    assert sorted((s.frame, str(s.type), str(s.source)) for s in shapes) == [
        (0, "polygon", "auto"), (1, "polygon", "auto"), (1, "polygon", "auto")
    ]  # fmt: skip
    assert [s.score for s in shapes] == pytest.approx([score] * 3, abs=1e-3)
    assert {s.attributes[0].value for s in shapes} == {"98"}


def test_a_function_of_the_store_keeps_its_names_and_threshold(
    bundle: Bundle, tmp_path: Path
) -> None:
    shown = (FunctionLabel("green", "Leaf", "polygon"),)
    entry = Entry("leaves", "detector", "Leaves", "finds leaves", bundle.path, bundle.version,
                  labels=shown, min_score=0.99)  # fmt: skip
    publish(tmp_path / "home" / "functions", entry)
    config = tmp_path / "cvat-bridge.yaml"
    config.write_text("home: home\n")
    made = function.create("leaves", config=str(config), label_type="mask")
    image = Image.fromarray(picture((1, 1, 0), (4, 4, 1)))

    assert [(label.name, label.id) for label in made.spec.labels] == [("Leaf", 1)]
    assert made.detect(Context(), image) == []
    (mask,) = made.detect(Context(conf_threshold=0.5), image)
    assert (mask.label_id, str(mask.type)) == (1, "mask")
    left, top, right, bottom = mask.points[-4:]  # of the green cell, 16 to 19, in its box of 8
    assert 13 <= min(left, top) <= max(left, top) <= 16
    assert 19 <= min(right, bottom) <= max(right, bottom) <= 22
    assert 0 < sum(mask.points[1:-4:2]) < 64
    (polygon,) = made.detect(Context(conf_threshold=0.5, conv_mask_to_poly=True), image)
    assert str(polygon.type) == "polygon"


def test_a_threshold_of_zero_is_no_default(bundle: Bundle) -> None:
    made = function.create(str(bundle.path))

    few = made.detect(Context(), Image.fromarray(picture((1, 1, 0))))
    all_of_them = made.detect(Context(conf_threshold=0.0), Image.fromarray(picture((1, 1, 0))))

    assert len(few) == 1 < len(all_of_them)


def test_a_cut_off_image_is_seen_as_cvat_shows_it(bundle: Bundle) -> None:
    content = io.BytesIO()
    Image.fromarray(picture((1, 1, 0))).save(content, "JPEG", quality=95)
    cut = Image.open(io.BytesIO(content.getvalue()[:-20]))

    (shape,) = function.create(str(bundle.path)).detect(Context("street.jpg"), cut)

    assert str(shape.type) == "rectangle"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"label_type": "skeleton"}, "label_type"),
        ({"min_score": 1.5}, "min_score"),
        ({"confidence": "number"}, "LOW,HIGH,STEP"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(bundle, parameters, message) -> None:
    with pytest.raises(ConfigError, match=message):
        function.create(str(bundle.path), **parameters)


def test_the_interactor_answers_an_agents_prompts() -> None:
    """Preprocessed once; four clicks give a mask with the model's confidence."""
    made = function.create("extreme-points")
    pixels = np.full((100, 140, 3), 120, np.uint8)
    cv2.circle(pixels, (70, 50), 30, (220, 40, 20), -1)

    @dataclass
    class Prompts:
        pos_points = ((40.2, 50.5), (70.1, 20.5), (100.5, 50.4), (70.6, 80.5))
        neg_points = ()
        bounding_box = None

    ready = made.preprocess_image(None, Image.fromarray(pixels))
    best = made.detect(None, ready, Prompts())[0]

    assert isinstance(made.spec, cvataa.InteractionFunctionSpec)
    assert best.points[-4:] == [40, 20, 100, 80]
    assert sum(best.points[1:-4:2]) > 0.85 * np.pi * 30**2
    assert 0 < float(best.attributes[0].value) <= 1


def test_an_agent_of_cvat_cli_serves_the_model(
    sandbox: Sandbox, client: Client, bundle: Bundle, tmp_path: Path
) -> None:
    """create-native tells its labels; run-agent answers a whole task and a single frame."""
    for n, spots in enumerate([[(1, 1, 0)], [(4, 4, 1)]]):
        cv2.imwrite(str(tmp_path / f"{n}.png"), picture(*spots)[..., ::-1])
    labels = [{"name": name, "type": "rectangle"} for name in ("red", "green")]
    files = [tmp_path / "0.png", tmp_path / "1.png"]
    task = client.tasks.create_from_data({"name": "agent", "labels": labels}, files)
    mapping = {name: {"name": name, "attributes": {}} for name in ("red", "green")}
    asked = {"task": task.id, "mapping": mapping, "threshold": 0.9, "conv_mask_to_poly": False}
    given = ["--function-module", "cvat_bridge.function", "-p", f"model=str:{bundle.path}"]

    with enterprise(sandbox.url) as server:
        before = replace(sandbox, url=server.url)
        number = _cli(before, "function", "create-native", "Spots", *given).strip()
        whole = {"type": "annotate_task", **asked}
        single = {"type": "annotate_frame", "frame": 1, **asked}
        server.waiting += [
            {"category": "batch", "ar_id": "all", "ar_params": whole},
            {"category": "interactive", "ar_id": "one", "ar_params": single},
        ]
        _cli(before, "function", "run-agent", number, "--burst", *given)

    (made,) = server.functions.values()
    assert [(label["name"], label["type"]) for label in made["labels_v2"]] == [
        ("red", "rectangle"),
        ("green", "rectangle"),
    ]
    assert server.failed == {}
    ids = {label.name: label.id for label in task.get_labels()}
    found = {
        key: [
            (s["frame"], s["label_id"], round(s["score"], 2)) for s in one["annotations"]["shapes"]
        ]
        for key, one in server.completed.items()
    }
    assert found == {
        "all": [(0, ids["red"], 0.98), (1, ids["green"], 0.98)],
        "one": [(1, ids["green"], 0.98)],
    }
