"""The screens *Groups of assets* in a browser: made, versioned, exported."""

from __future__ import annotations

import io
import json
import threading
import zipfile

import pytest
import requests

from cvat_bridge.web.background.work_queue import WorkQueue
from tests.cvat_bridge.web.conftest import MANAGER, sign_in
from tests.cvat_bridge.web.drawn import MODEL, make_project, write_records
from tests.cvat_bridge.web.serving import Api, serious_faults, served


@pytest.fixture(scope="module")
def drawn(sandbox, tmp_path_factory):
    return make_project(sandbox, MANAGER, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def page(sandbox, drawn, tmp_path_factory):
    with served(sandbox, tmp_path_factory.mktemp("home"), drawn.project) as found:
        write_records(found.parts, drawn)
        yield found


@pytest.fixture(scope="module")
def screen(browser, page, drawn):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    tab = context.new_page()
    sign_in(tab, page.url, MANAGER)
    tab.where = f"{page.url}projects/{drawn.project}"
    yield tab
    context.close()


@pytest.fixture(scope="module")
def api(page, drawn):
    held = requests.Session()
    held.headers["Authorization"] = f"Bearer {page.sandbox.admin_token}"
    held.where = f"{page.url}api/projects/{drawn.project}/groups"
    return held


def test_without_a_group_it_says_what_one_is_for(screen):
    screen.goto(f"{screen.where}/groups")
    assert screen.get_by_role("heading", name="There is no group yet").is_visible()
    assert serious_faults(screen) == []
    screen.get_by_role("button", name="Make it").click()
    screen.get_by_text("There is no frame for the group 'Holdout'").wait_for()


def test_a_slice_is_kept_as_a_group_from_its_screen(screen, page):
    screen.goto(f"{screen.where}/failures?model={MODEL}&source=holdout")
    screen.get_by_role("textbox", name="Keep the frames of this slice").fill("Night: slides")
    screen.get_by_role("button", name="Keep", exact=True).click()
    screen.get_by_role("heading", name="Night: slides").wait_for()
    (row,) = page.parts.ledger.people.groups()
    assert (row.kind, row.who, len(row.frames)) == ("slice", MANAGER.username, 24)
    screen.goto(f"{screen.where}/groups")
    screen.wait_for_load_state("networkidle")
    assert serious_faults(screen) == []


def test_versions_are_made_and_the_same_frames_make_none(api, page, drawn):
    keys = [f"{drawn.task}/{n}" for n in range(6)]
    asked = {"name": "Search", "kind": "search", "frames": keys}
    first = api.post(api.where, json=asked, timeout=30)
    assert (first.status_code, first.json()["version"]) == (201, 1)
    assert api.post(api.where, json=asked, timeout=30).json()["version"] == 1
    asked["frames"] = keys[:3]
    assert api.post(api.where, json=asked, timeout=30).json()["version"] == 2
    found = api.get(f"{api.where}/Search?version=1", timeout=30).json()
    assert len(found["group"]["frames"]) == 6
    assert api.get(f"{api.where}/Search?version=9", timeout=30).status_code == 404
    bad = api.post(api.where, json={**asked, "name": "a/b"}, timeout=30)
    assert bad.status_code == 422
    assert "slash" in bad.json()["error"]


def test_nobody_finished_a_frame_yet(screen):
    screen.goto(f"{screen.where}/groups/Search")
    screen.get_by_role("button", name="Write COCO").click()
    screen.get_by_text("nobody has finished a frame of the group").wait_for()


def test_finished_frames_are_exported_as_coco_and_yolo(screen, sandbox, drawn):
    cvat = Api(sandbox.url, sandbox.admin.username, sandbox.admin.password)
    (job,) = cvat.send("GET", f"/api/jobs?task_id={drawn.task}")["results"]
    label = cvat.send("GET", f"/api/labels?project_id={drawn.project}")["results"][0]["id"]
    shape = {"type": "rectangle", "label_id": label, "points": [10, 20, 110, 80]}
    where = f"/api/jobs/{job['id']}"
    shapes = [{**shape, "frame": n} for n in range(4)]
    body = {"version": 0, "tags": [], "shapes": shapes, "tracks": []}
    cvat.send("PATCH", f"{where}/annotations?action=create", **body)
    cvat.send("PATCH", where, state="completed")

    screen.goto(f"{screen.where}/groups/Search?version=1")
    files = {}
    for form in ("COCO", "YOLO"):
        screen.get_by_role("button", name=f"Write {form}").click()
        with screen.expect_download() as download:
            screen.get_by_role("link", name=f"Download {form}").click()
        files[form] = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    coco = json.loads(files["COCO"].read("annotations/instances_train.json"))
    assert (len(coco["images"]), len(coco["annotations"])) == (6, 4)
    assert coco["annotations"][0]["bbox"] == [10, 20, 100, 60]
    names = files["YOLO"].namelist()
    assert "data.yaml" in names
    assert sum(name.startswith("labels/train/") for name in names) == 6
    screen.wait_for_load_state("networkidle")
    assert serious_faults(screen) == []


def test_an_export_killed_in_the_middle_is_written_at_the_next_start(page, drawn, api):
    def dies(*_):
        raise SystemExit

    asked = {"name": "Search", "version": 2, "form": "coco"}
    dying = WorkQueue(page.parts.home.root / "work", dies)
    dying.ask("e" * 32, "export", asked, who="mira", now="2026-03-02")
    page.restart()
    queue = page.page.work_queue(page.page.sites.get(drawn.project))
    for _ in range(600):
        if not queue.find("e" * 32).going:
            break
        threading.Event().wait(0.05)
    assert queue.find("e" * 32).state == "done"
    where = f"{page.url}projects/{drawn.project}/groups/Search/2/coco.zip"
    answer = api.get(where, timeout=30)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert api.get(where.replace("coco", "voc"), timeout=30).status_code == 404
