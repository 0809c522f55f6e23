"""Models by mouse: bring weights, good and bad; promote, go back, compare."""

from __future__ import annotations

import io
import re
import threading

import pytest
import requests

from tests.cvat_bridge.web.conftest import MANAGER, sign_in
from tests.cvat_bridge.web.serving import serious_faults, served
from tests.cvat_bridge.web.spotted import finish, make_project, offer, register
from tests.trainer.importing.networks import yolo
from tests.trainer.importing.test_pickles import Runs, weights

KEY = "{:032x}".format


@pytest.fixture(scope="module")
def drawn(sandbox, tmp_path_factory):
    made = make_project(sandbox, MANAGER, tmp_path_factory.mktemp("images"))
    finish(sandbox, made.task, made)
    return made


@pytest.fixture(scope="module")
def page(sandbox, drawn, tmp_path_factory):
    with served(sandbox, tmp_path_factory.mktemp("home"), drawn.project) as found:
        offer(found.parts, tmp_path_factory.mktemp("models"))
        yield found


@pytest.fixture(scope="module")
def window(browser, page):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(600_000)
    tab = context.new_page()
    sign_in(tab, page.url, MANAGER)
    yield tab
    context.close()


@pytest.fixture(scope="module")
def versions(page, drawn, tmp_path_factory):
    """Two versions of the project's own, the second surer than the first."""
    folder = tmp_path_factory.mktemp("versions")
    return [register(page.parts, folder, drawn, gain) for gain in (4.0, 8.0)]


@pytest.fixture(scope="module")
def snapshot(page, drawn):
    """A snapshot with labelled test frames, as a round or a training takes one."""
    from dataclasses import replace

    from cvat_bridge.training.choice import TrainingChoice
    from cvat_bridge.training.whole import prepare

    parts = page.parts
    return prepare(
        parts.gateway,
        parts.ledger,
        drawn.project,
        TrainingChoice(holdout_share=0.5),
        home=parts.home,
        settings=replace(parts.settings, holdout_share=0.5),
        now="2026-02-01T00:00:00+00:00",
    )


@pytest.fixture
def screen(window, page, drawn):
    window.goto(f"{page.url}projects/{drawn.project}/models")
    return window


@pytest.fixture
def script(page, screen):
    person = requests.Session()
    person.cookies.update({c["name"]: c["value"] for c in screen.context.cookies()})
    person.headers["Origin"] = page.url[: -len("/learning/")]
    person.headers["X-CSRF-Token"] = screen.locator("input[name=csrf]").first.input_value()
    return person


def sent(page, drawn, script, number, files, **query):
    where = f"{page.url}api/projects/{drawn.project}/models/upload"
    return script.post(where, params={"key": KEY(number)}, files=files, timeout=300)


def ended(page, drawn, script, number):
    """Wait for a piece of work to end."""
    until = threading.Event()
    for _ in range(6000):
        where = f"{page.url}api/projects/{drawn.project}/long-work/{KEY(number)}"
        found = script.get(where, timeout=300).json()
        if found["state"] in ("done", "failed"):
            return found
        until.wait(0.1)
    raise AssertionError(found)


def test_without_a_model_the_screen_says_where_they_come_from(screen):
    assert screen.get_by_text("None yet: a round learns one from finished jobs").is_visible()
    assert serious_faults(screen) == []


def test_weights_and_a_class_list_become_a_model_in_cvat_in_four_clicks(
    screen, page, drawn, tmp_path
):
    """Two files and a button: the list renames the classes to the project's labels."""
    file, names = yolo(tmp_path / "found spots.onnx"), tmp_path / "classes.txt"
    names.write_text("red\ngreen\n")
    screen.get_by_label("Weights", exact=True).set_input_files(file)
    screen.get_by_label(re.compile("^Class list")).set_input_files(names)
    screen.get_by_role("button", name="Add it").click()
    screen.get_by_text("It serves in CVAT now").wait_for()
    assert screen.get_by_text(f"Asked for by {MANAGER.username}").is_visible()
    assert serious_faults(screen) == []
    assert "found-spots" in {entry.id for entry in _entries(page)}
    assert list((page.parts.home.long_work / "uploads").glob("*")) == []
    screen.goto(f"{page.url}projects/{drawn.project}/models")
    assert screen.get_by_role("link", name="found spots").first.is_visible()
    screen.get_by_role("link", name="Run it").first.click()
    assert "found-spots" in screen.url


@pytest.mark.parametrize(
    ("number", "make", "labels", "words"),
    [
        (
            1,
            lambda path: yolo(path / "m.onnx"),
            "red\ngreen\nblue\n",
            "2 classes .* the list names 3",
        ),
        (
            2,
            lambda path: yolo(path / "m.onnx"),
            "cat\ndog\n",
            "the project's labels are red, green",
        ),
        (
            3,
            lambda path: weights(path / "bad.pt", Runs("os", "system", "touch x").pickled()),
            None,
            "bad.pt: refused: opening it would run (os|posix).system",
        ),
        (4, lambda path: _written(path / "m.pt", b"hello"), None, "m.pt: not a model"),
        (5, lambda path: _written(path / "m.onnx", b"\x08\x07" * 40), None, "m.onnx: "),
        (6, lambda path: yolo(path / "m.onnx"), "\n", "no class name"),
    ],
)
def test_what_cannot_serve_is_refused_in_words_and_leaves_nothing(
    page, drawn, script, tmp_path, number, make, labels, words
):
    files = {"weights": make(tmp_path).open("rb")}
    if labels is not None:
        files["labels"] = ("classes.txt", io.BytesIO(labels.encode()))
    before = [entry.id for entry in _entries(page)]
    assert sent(page, drawn, script, number, files).status_code == 202
    found = ended(page, drawn, script, number)
    assert found["state"] == "failed"
    assert re.search(words, found["problem"]), found["problem"]
    assert str(page.parts.home.root) not in found["problem"]
    assert "--" not in found["problem"]
    assert [entry.id for entry in _entries(page)] == before
    assert list((page.parts.home.long_work / "uploads").glob("*")) == []


def test_a_file_of_four_gigabytes_is_refused_before_a_byte_is_read(screen, page, drawn):
    """By the browser, beside the field, and by the service, by what is announced."""
    screen.evaluate("document.querySelector('[data-drop]').dataset.most = 10")
    held = {"name": "m.pt", "mimeType": "application/octet-stream", "buffer": b"x" * 100}
    screen.get_by_label("Weights", exact=True).set_input_files(held)
    screen.get_by_text("and this one has").wait_for()
    screen.get_by_role("button", name="Add it").click()
    assert screen.url.endswith("/models")

    where = f"/learning/projects/{drawn.project}/models/upload?key={KEY(77)}"
    import http.client

    caller = http.client.HTTPConnection("127.0.0.1", page.port, timeout=300)
    caller.putrequest("POST", where)
    caller.putheader("Content-Length", str(4_000_000_000))
    caller.endheaders()
    answer = caller.getresponse()
    assert answer.status == 413
    words = answer.read().decode()
    assert "at most 2 GB is taken, and this one has 4.0 GB" in words


def test_other_forms_stay_small_and_a_forged_upload_is_not_taken(page, drawn, script):
    where = f"{page.url}projects/{drawn.project}/round"
    assert script.post(where, data={"x": "y" * 300_000}, timeout=300).status_code == 413
    script.headers.pop("X-CSRF-Token")
    files = {"weights": ("m.pt", io.BytesIO(b"x" * 300_000))}
    assert sent(page, drawn, script, 78, files).status_code == 403
    assert list((page.parts.home.long_work / "uploads").glob("*")) == []
    script.headers["Origin"] = "https://evil.example"
    assert sent(page, drawn, script, 79, files).status_code == 403


def test_a_version_serves_with_the_name_and_reason_of_who_said_so_and_back(
    versions, screen, page, drawn
):
    screen.reload()
    assert serious_faults(screen) == []
    screen.get_by_role("link", name="Let it serve").last.click()
    assert screen.get_by_text("was never judged here").is_visible()
    assert serious_faults(screen) == []
    screen.get_by_label("Why").fill("the first one")
    screen.get_by_role("button", name="Let it serve").click()
    screen.get_by_text("Version 1 serves from now on.").wait_for()
    screen.get_by_role("link", name="Let it serve").click()
    screen.get_by_role("button", name="Let it serve").click()
    screen.get_by_text("Version 2 serves from now on.").wait_for()
    screen.get_by_role("link", name="Roll back").click()
    screen.get_by_label("Why").fill("it misses small ones")
    screen.get_by_role("button", name="Roll back").click()
    screen.get_by_text("Version 1 serves from now on.").wait_for()
    told = screen.get_by_role("region", name="Versions of this project").inner_text()
    assert f"by hand, {MANAGER.username}: it misses small ones" in told
    assert page.parts.registry.champion(page.parts.key).number == 1
    assert [e.version for e in _entries(page) if e.id == "champion"] == [versions[0].bundle]
    screen.get_by_role("link", name="2", exact=True).click()
    assert screen.get_by_text("boxes of red, green", exact=False).first.is_visible()
    assert serious_faults(screen) == []


def test_two_models_are_compared_on_the_same_frames_with_pictures(
    versions, snapshot, screen, page, drawn
):
    screen.reload()
    screen.get_by_role("button", name="Compare").click()
    screen.get_by_text("Where they differ most").wait_for()
    assert screen.get_by_text(re.compile(f"On {snapshot.test} test frames")).is_visible()
    image = screen.locator(".apart img").first
    answer = screen.request.get(image.evaluate("one => one.src"))
    assert answer.headers["content-type"] == "image/png"
    assert screen.get_by_role("region", name="By class").last.inner_text().count("red") == 1
    assert serious_faults(screen) == []


def test_a_model_that_is_deleted_while_compared_is_told_in_words(
    versions, snapshot, page, drawn, script, tmp_path
):
    gone = register(page.parts, tmp_path, drawn, 6.0)
    gate = threading.Event()
    page.page.desks._lanes["compare"].put("held", lambda: gate.wait(600))
    body = {"key": KEY(50), "first": f"{gone.key}@{gone.number}", "second": f"{gone.key}@1"}
    api = f"{page.url}api/projects/{drawn.project}"
    assert script.post(f"{api}/library/compare", json=body, timeout=300).status_code == 202
    page.parts.registry.forget(gone.key, [gone.number])
    gate.set()
    found = ended(page, drawn, script, 50)
    assert found["state"] == "failed"
    assert "is not here any more: it was removed meanwhile" in found["problem"]
    address = f"{page.url}projects/{drawn.project}/models/version"
    answer = script.get(address, params={"key": gone.key, "number": gone.number}, timeout=300)
    assert answer.status_code == 404
    assert "removed meanwhile" in answer.text


def _entries(page):
    from serverless.store.functions import entries

    return entries(page.parts.functions)


def _written(path, content):
    path.write_bytes(content)
    return path
