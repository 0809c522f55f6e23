"""Files that hold no code become bundles that answer; bad ones are refused and leave nothing."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.serverless.bright_spots import bright_spots
from tests.trainer.importing.networks import CARD, picture, stranger, yolo
from trainer.bundles.bundle import read_bundle
from trainer.data.class_list import read_classes
from trainer.data.files import file_sha256
from trainer.engines import load
from trainer.errors import BundleError, ConfigError, ModelFileError
from trainer.importing import ImportRequest, import_model


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "made" / "out"


def refused(request: ImportRequest, out: Path, *errors: type[Exception]) -> str:
    with pytest.raises(errors or ModelFileError) as caught:
        import_model(request, out)
    assert not out.exists()
    return str(caught.value)


def test_a_yolo_tells_its_classes_task_and_size_and_answers(tmp_path: Path, out: Path) -> None:
    made = import_model(ImportRequest(yolo(tmp_path / "any.bin"), "mine"), out)

    card = made.card
    assert (card.name, card.engine, card.task, card.input_size) == (
        "mine",
        "yolo",
        "boxes",
        (64, 64),
    )
    assert card.labels.names == ("red", "green")
    assert card.licence.startswith("AGPL-3.0")
    (found,) = load(made).detect([picture((2, 3, 0), (5, 6, 1))], min_score=0.5)
    order = np.argsort(found.class_ids)
    assert found.class_ids[order].tolist() == [0, 1]
    assert found.boxes[order].tolist() == [[24, 16, 32, 24], [48, 40, 56, 48]]


def test_a_file_in_16_bits_answers_as_the_same_in_32(tmp_path: Path, out: Path) -> None:
    frames = [picture((2, 3, 0), (5, 6, 1))]
    whole = import_model(ImportRequest(yolo(tmp_path / "whole"), "whole"), out.with_name("whole"))
    halved = import_model(ImportRequest(yolo(tmp_path / "half", half=True), "half"), out)

    (expected,), (found,) = (load(one).detect(frames, min_score=0.5) for one in (whole, halved))
    assert len(found) == 2
    assert found.boxes.tolist() == expected.boxes.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-3)


def test_what_is_said_of_another_kind_of_file_is_refused_and_not_left_unread(
    tmp_path: Path, out: Path
) -> None:
    file, card = yolo(tmp_path / "m.onnx"), tmp_path / "card.yaml"
    card.write_text(CARD)
    network = ImportRequest(file, "m", architecture="fasterrcnn_resnet50_fpn")
    assert "it is an ONNX file" in refused(network, out, ConfigError)
    made = import_model(ImportRequest(file, "m"), tmp_path / "bundle")
    described = ImportRequest(made.path, "m", card=card, architecture="fasterrcnn_resnet50_fpn")
    told = refused(described, out, ConfigError)
    assert "--card describes an ONNX file" in told
    assert "it is a bundle" in told


def test_class_names_may_be_given_in_the_networks_order(tmp_path: Path, out: Path) -> None:
    text = tmp_path / "classes.txt"
    text.write_text("rot\n\ngrün\n", encoding="utf-8")
    data = tmp_path / "data.yaml"
    data.write_text("path: x\nnames:\n  1: grün\n  0: rot\n", encoding="utf-8")
    assert read_classes(text) == read_classes(data) == ("rot", "grün")

    made = import_model(ImportRequest(yolo(tmp_path / "m"), "m", labels=read_classes(data)), out)

    assert made.card.labels.names == ("rot", "grün")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a\nb\na\n", "'a' is already label 0"),
        ("\n\n", "contains no class name"),
    ],
)
def test_a_class_list_that_cannot_be_says_why(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "classes.txt"
    path.write_text(content)
    with pytest.raises(ConfigError, match=says) as caught:
        read_classes(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("names: {0: a, 2: b}", "without gaps"),
        ("names: [a, a]", "'a' is already label"),
        ("nc: 2", "expected a YAML with `names`"),
        ("names: [a", "not YAML"),
    ],
)
def test_a_data_yaml_that_cannot_be_says_why(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "data.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=says):
        read_classes(path)


def test_a_class_list_of_the_wrong_length_is_refused(tmp_path: Path, out: Path) -> None:
    request = ImportRequest(yolo(tmp_path / "m.onnx"), "m", labels=("a", "b", "c"))
    said = refused(request, out, ConfigError)
    assert "has 2 classes (red, green), the list names 3" in said


def test_a_file_that_says_to_have_more_classes_than_its_outputs_is_refused(
    tmp_path: Path, out: Path
) -> None:
    assert "expected" in refused(
        ImportRequest(yolo(tmp_path / "m.onnx", told=5), "m"), out, BundleError
    )


def test_two_classes_of_one_name_in_the_file_are_refused(tmp_path: Path, out: Path) -> None:
    said = refused(ImportRequest(yolo(tmp_path / "m.onnx", ("cat", "cat")), "m"), out, ConfigError)
    assert "'cat' is already label 0" in said
    made = import_model(ImportRequest(tmp_path / "m.onnx", "m", labels=("cat", "kitten")), out)
    assert made.card.labels.names == ("cat", "kitten")


def test_a_task_that_is_not_served_is_named(tmp_path: Path, out: Path) -> None:
    said = refused(ImportRequest(yolo(tmp_path / "m.onnx", task="pose"), "m"), out)
    assert "'pose'" in said
    assert "detect and segment" in said


def test_the_sha256_of_the_file_must_be_the_one_that_was_meant(tmp_path: Path, out: Path) -> None:
    path = yolo(tmp_path / "m.onnx")
    said = refused(ImportRequest(path, "m", sha256="ab" * 32), out)
    assert f"expected sha256 {'ab' * 32}, found {file_sha256(path)}" in said
    made = import_model(ImportRequest(path, "m", sha256=file_sha256(path).upper()), out)
    assert made.card.files["model.onnx"] == file_sha256(path)


def test_an_onnx_of_unknown_outputs_asks_for_a_card_and_is_served_with_one(
    tmp_path: Path, out: Path
) -> None:
    path = stranger(tmp_path / "m.onnx")
    said = refused(ImportRequest(path, "m"), out)
    assert "dets [1, 64, 4]" in said
    assert "--card" in said

    told = tmp_path / "card.yaml"
    told.write_text(CARD)
    made = import_model(ImportRequest(path, "m", card=told), out)

    assert (made.card.engine, made.card.min_score, made.card.licence) == (
        "generic_onnx",
        0.6,
        "MIT",
    )
    (found,) = load(made).detect([picture((2, 3, 0), (5, 6, 1))], min_score=0.5)
    assert sorted(found.boxes.tolist()) == [[24, 16, 32, 24], [48, 40, 56, 48]]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("dets", "nowhere", "outputs.boxes is 'nowhere', the file has dets, conf"),
        ("[red, green]", "[red]", "expected outputs as the card describes"),
        ("[red, green]", "[red, red]", "is already label"),
        ("min_score: 0.6", "min_score: some", "min_score must be a number in 0..1"),
        ("task: boxes", "task: keypoints", "task must be boxes"),
        ("cxcywh", "yxyx", "box_format must be"),
        ("input:", "imput:", "imput is unknown"),
        ("[64, 64]", "[64]", "input must contain size"),
    ],
)
def test_a_card_that_does_not_fit_says_why(
    tmp_path: Path, out: Path, old: str, new: str, says: str
) -> None:
    card = tmp_path / "card.yaml"
    card.write_text(CARD.replace(old, new))
    request = ImportRequest(stranger(tmp_path / "m.onnx"), "m", card=card)
    assert says in refused(request, out, ConfigError, BundleError)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "an empty file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a model"),
        (b"hello, this is no model at all", "not a model"),
        (b"PK\x03\x04 but no more", "truncated or broken"),
    ],
)
def test_what_is_no_model_is_said_to_be_none(
    tmp_path: Path, out: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "best.pt"
    path.write_bytes(content)
    said = refused(ImportRequest(path, "m"), out)
    assert says in said
    assert str(path) in said


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_onnx_is_said_to_be_one(tmp_path: Path, out: Path, share: float) -> None:
    content = yolo(tmp_path / "m.onnx").read_bytes()
    (tmp_path / "half.onnx").write_bytes(content[: int(share * len(content))])
    assert "truncated" in refused(ImportRequest(tmp_path / "half.onnx", "m"), out)


def test_a_file_that_is_not_there_is_said_not_to_be(tmp_path: Path, out: Path) -> None:
    assert "no such file" in refused(ImportRequest(tmp_path / "none.pt", "m"), out)
    assert "not a bundle" in refused(ImportRequest(tmp_path, "m"), out)


def test_a_bundle_is_taken_as_a_folder_and_as_a_zip(tmp_path: Path, out: Path) -> None:
    made = bright_spots(tmp_path / "bundle")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "bundle"))

    assert import_model(ImportRequest(made.path, "a"), out).version == made.version
    assert import_model(ImportRequest(packed, "b"), out.with_name("b")).version == made.version


def test_a_bundle_that_was_changed_is_refused(tmp_path: Path, out: Path) -> None:
    made = bright_spots(tmp_path / "bundle")
    yolo(made.path / "model.onnx")
    assert "expected sha256" in refused(ImportRequest(made.path, "m"), out, BundleError)


def test_a_zip_that_reaches_out_of_its_folder_is_refused(tmp_path: Path, out: Path) -> None:
    made = bright_spots(tmp_path / "bundle")
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(made.path / "card.json", "card.json")
        archive.write(made.path / "model.onnx", "../model.onnx")
    assert "outside the bundle" in refused(ImportRequest(path, "m"), out)
    assert read_bundle(made.path).version == made.version


@pytest.mark.parametrize("kind", ["FIFO", "device"])
def test_what_may_be_read_for_ever_is_refused_at_once(tmp_path: Path, out: Path, kind: str) -> None:
    path = tmp_path / "best.pt"
    if kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert "not a plain file" in refused(ImportRequest(path, "m"), out)

    made = bright_spots(tmp_path / "bundle")
    (made.path / "card.json").unlink()
    path.rename(made.path / "card.json")
    with pytest.raises(BundleError, match="not a plain file"):
        read_bundle(made.path)
    with pytest.raises(ConfigError, match="not a plain file"):
        read_classes(made.path / "card.json")
