"""Recordings replayed in order against another server, which must answer alike."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from PIL import Image

from tests.contract.agreement import differences
from tests.contract.identity import Identity, kind_of
from tests.contract.pictures import picture, video
from tests.contract.recording import Exchange, Recording

ADMIN, ANNOTATOR = ("admin", "admin-pass"), ("ann1", "ann1-pass")
_WAIT_S = 30
_DELIVERY_S = 0.3  # webhooks leave from another thread
_TARGET_PORTS = (8098, 8099)  # where the recorded webhooks went


@dataclass
class Replay:
    """One server, one recording, and the ids of both."""

    url: str
    recording: Recording
    scratch: Path
    target: str = "http://127.0.0.1:9"
    ids: Identity = field(default_factory=Identity)
    secrets: dict[str, str] = field(default_factory=dict)
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)
    client: requests.Session = field(default_factory=lambda: _without_cookies())

    def prepare(self) -> None:
        """Make the projects and tasks that were there before the recording began."""
        for token in self._get("/api/auth/access_tokens")["results"]:
            path = f"{self.url}/api/auth/access_tokens/{token['id']}"
            self.client.delete(path, auth=ADMIN, timeout=60).raise_for_status()
        for organization in self.recording.setup.get("organizations", ()):
            made = self._post("/api/organizations", {"slug": organization["slug"]})
            self.ids.learn("organization", organization["id"], made["id"])
        for project in self.recording.setup.get("projects", ()):
            self._prepare_project(project)
        for task in self.recording.setup.get("tasks", ()):
            self._prepare_task(task)

    def run(self, exchange: Exchange) -> list[str]:
        """Send one request and give where the answer differs from the recorded one."""
        response = self._send(exchange)
        if response.status_code != exchange.status:
            return [f"status {response.status_code} {response.text:.300}, was {exchange.status}"]
        faults = [
            f"header {name} is missing"
            for name in exchange.answer_headers
            if name not in response.headers
        ]
        if response.status_code >= 500 or exchange.method == "HEAD":
            return faults
        actual = self._parsed(response)
        recorded = exchange.answer
        if isinstance(recorded, str) and recorded.startswith("\n<!doctype"):
            return faults
        recorded, actual, strange = self._own_results(exchange, recorded, actual)
        faults += strange
        actual = self.ids.aligned(recorded, actual)
        self._learn(exchange, recorded, actual)
        if isinstance(recorded, dict) and "<binary>" in recorded:
            return faults + list(_binary(recorded, response))
        if _under_way(exchange):
            recorded = {**recorded, "status": actual.get("status")}
        if isinstance(recorded, str) and recorded.startswith("<") and "bytes:" in recorded:
            return faults + ([] if response.content else ["the answer has no content"])
        faults += list(differences(recorded, actual))
        return faults + list(self._moved(exchange, recorded, actual))

    def _own_results(
        self, exchange: Exchange, recorded: Any, actual: Any
    ) -> tuple[Any, Any, list[str]]:
        """Leave out of a list what was other people's, and check which came and in what order."""
        kind = kind_of(exchange.path)
        if not kind or not isinstance(recorded, dict) or not isinstance(actual, dict):
            return recorded, actual, []
        rows, here = recorded.get("results"), actual.get("results")
        if not rows or here is None or not all("id" in row for row in [*rows, *here]):
            return recorded, actual, []
        if kind == "membership":  # the answer to an invitation does not name it
            by_user = {row["user"]["id"]: row for row in here}
            for row in rows:
                if row["user"] and row["user"]["id"] in by_user:
                    self.ids.learn(kind, row["id"], by_user[row["user"]["id"]]["id"])
        self.ids.match(rows, here, kind)
        known = [row for row in rows if self.ids.knows(kind, row["id"])]
        if not known:
            return recorded, actual, []
        wanted = [self.ids.actual(kind, row["id"]) for row in known]
        given = {row["id"]: row for row in here}
        found = [row["id"] for row in here if row["id"] in wanted]
        strange = []
        complete = len(known) == len(rows)
        if complete and [row["id"] for row in here] != wanted:
            strange = [f"listed {[row['id'] for row in here]}, recorded {wanted}"]
        elif "page_size" not in exchange.path and found != wanted:
            strange = [f"listed {found} of ours, recorded {wanted}"]
        both = [(row, given[one]) for row, one in zip(known, wanted, strict=True) if one in given]
        mine = {**recorded, "results": [row for row, _ in both]}
        theirs = {**actual, "results": [row for _, row in both]}
        return mine, theirs, strange

    def _learn(self, exchange: Exchange, recorded: Any, actual: Any) -> None:
        kind = kind_of(exchange.path)
        if exchange.status == 201 and kind and isinstance(actual, dict) and "id" in actual:
            self.ids.learn(kind, recorded["id"], actual["id"])
        self.ids.match(recorded, actual, kind)
        later = self.recording.setup.get("labels_of", {}).get(f"{kind}:{_id(recorded)}")
        if later and exchange.status == 201:
            self._learn_labels(f"{kind}_id={actual['id']}", later)
        if isinstance(actual, dict) and "value" in actual and kind == "token":
            self.secrets[f"token:{recorded['id']}"] = actual["value"]
        if exchange.user in {"nobody", "session"} and isinstance(actual, dict) and "key" in actual:
            self.secrets["session-token"] = actual["key"]

    def _moved(self, exchange: Exchange, recorded: Any, actual: Any) -> Iterator[str]:
        """Compare whether updated_date has moved since the object was last looked at."""
        if exchange.method != "GET" or not isinstance(recorded, dict):
            return
        if "updated_date" not in recorded or "updated_date" not in actual:
            return
        path = exchange.path.split("?")[0]
        now = recorded["updated_date"], actual["updated_date"]
        before = self.seen.get(path, now)
        self.seen[path] = now
        was, did = before[0] != now[0], before[1] != now[1]
        if was != did:
            yield f"updated_date {'moved' if did else 'did not move'}, unlike the recorded one"

    def _parsed(self, response: requests.Response) -> Any:
        if not response.content:
            return None
        try:
            return json.loads(response.text.replace(self.target, self._recorded_target()))
        except ValueError:
            return response.text

    def _send(self, exchange: Exchange) -> requests.Response:
        headers = dict(exchange.headers)
        more: dict[str, Any] = {}
        multipart = isinstance(exchange.body, dict) and "multipart" in exchange.body
        if multipart:
            headers.pop("Content-Type")
            more["files"] = [self._part(part) for part in exchange.body["multipart"]]
        elif exchange.method == "PATCH" and "Upload-Offset" in headers:
            more["data"] = self._piece(exchange, int(headers["Upload-Offset"]))
        elif exchange.body is not None:
            kind = headers.get("Content-Type", "")
            text = exchange.body if isinstance(exchange.body, str) else None
            body = (
                text
                if text is not None
                else json.dumps(self.ids.body(exchange.body, _body_kind(exchange)))
            )
            more["data"] = self._placed(body).encode()
            headers.setdefault("Content-Type", kind or "application/json")
        if "/deliveries" in exchange.path:
            time.sleep(_DELIVERY_S)
        self._sign(exchange, headers, more)
        path = self._placed(self.ids.path(exchange.path)).replace(
            quote(self._recorded_target(), safe=""), quote(self.target, safe="")
        )
        for recorded, actual in self.secrets.items():
            path = path.replace(recorded, actual)
        keeps = exchange.user.startswith("session")
        send = self.session.request if keeps else self.client.request
        response = send(
            exchange.method,
            self.url + path,
            headers=headers,
            timeout=60,
            allow_redirects=False,
            **more,
        )
        if "Upload-Length" in headers and "Location" in response.headers:
            self._begin_upload(exchange, response)
        self._settle(exchange, response)
        return response

    def _settle(self, exchange: Exchange, response: requests.Response) -> None:
        """Wait for background work, for the recorded one was waited for as well."""
        batch = exchange.method == "POST" and exchange.path == "/api/lambda/requests"
        if batch and response.status_code == 200:
            self._finish_batch(response.json()["id"])
        if response.status_code != 202 or not response.content:
            return
        request_id = response.json().get("rq_id")
        if request_id:
            self._wait(request_id)

    def _finish_batch(self, batch_id: str) -> None:
        end = time.monotonic() + _WAIT_S
        while time.monotonic() < end:
            state = self._get(f"/api/lambda/requests/{batch_id}")
            if state["status"] in {"finished", "failed"}:
                return
            time.sleep(0.02)
        raise TimeoutError(batch_id)

    def _wait(self, request_id: str) -> dict[str, Any]:
        end = time.monotonic() + _WAIT_S
        while time.monotonic() < end:
            answer = self.client.get(
                f"{self.url}/api/requests/{request_id}", auth=ADMIN, timeout=30
            )
            state: dict[str, Any] = answer.json()
            if not isinstance(state, dict) or state["status"] in {"finished", "failed"}:
                return state
            time.sleep(0.02)
        raise TimeoutError(request_id)

    def _recorded_target(self) -> str:
        port = self.recording.setup.get("target_port", _TARGET_PORTS[0])
        return f"http://127.0.0.1:{port}"

    def _placed(self, body: str) -> str:
        """Return a body with our own targets, and texts of the length that was left out."""
        body = re.sub(r"<scrubbed (\d+) chars>", lambda found: "s" * int(found[1]), body)
        body = re.sub(r"a+\.\.\.<8193 chars>", "a" * 8174, body)
        for port in _TARGET_PORTS:
            body = body.replace(f"http://127.0.0.1:{port}", self.target)
        return body

    def _size(self) -> tuple[int, int]:
        width, height = self.recording.setup.get("image_size", (64, 48))
        return width, height

    def _part(self, part: dict[str, Any]) -> tuple[str, tuple[str | None, Any]]:
        if "filename" not in part:
            value = part["data"]
            if part["name"] == "guide_id" and str(value).isdigit():
                value = str(self.ids.actual("guide", int(value)))
            return part["name"], (None, value)
        name = part["filename"]
        content = part["data"].encode() if part["data"] is not None else self._file(name)
        return part["name"], (name, content)

    def _file(self, name: str) -> bytes:
        if name.endswith(".mp4"):
            return video(
                self.scratch / "upload.mp4",
                frames=self.recording.setup.get("video_frames", 12),
                size=self._size(),
            )
        return picture(name, self._size())

    def _begin_upload(self, exchange: Exchange, response: requests.Response) -> None:
        name = response.headers["Upload-Filename"]
        length = int(exchange.headers["Upload-Length"])
        actual = response.headers["Location"].rsplit("/", 1)[1]
        content = picture(name, self._size(), length)
        following = [
            other.path.rstrip("/").rsplit("/", 1)[1]
            for other in self.recording.exchanges
            if other.number > exchange.number and "Upload-Offset" in other.headers
        ]
        if following:
            self.secrets[following[0]] = actual
            self.uploads[following[0]] = content

    def _piece(self, exchange: Exchange, offset: int) -> bytes:
        recorded = exchange.path.rstrip("/").rsplit("/", 1)[1]
        length = int(str(exchange.body).split(" ", 1)[0].lstrip("<"))
        return self.uploads[recorded][offset : offset + length]

    def _sign(self, exchange: Exchange, headers: dict[str, str], more: dict[str, Any]) -> None:
        user = exchange.user
        if user in {"admin", "ann1"}:
            more["auth"] = ADMIN if user == "admin" else ANNOTATOR
        elif user == "bad-password":
            more["auth"] = ("admin", "wrong")
        elif user.startswith("token:"):
            headers["Authorization"] = f"Bearer {self.secrets[user]}"
        elif user == "read-only-token":
            newest = max(key for key in self.secrets if key.startswith("token:"))
            headers["Authorization"] = f"Bearer {self.secrets[newest]}"
        elif user == "session-token":
            headers["Authorization"] = f"Token {self.secrets[user]}"
        elif user.startswith("session"):
            csrf = {"session": self.session.cookies.get("csrftoken") or ""}
            csrf["session-wrong-csrf"] = "x" * 32
            if user in csrf:
                headers["X-CSRFToken"] = csrf[user]
        strange = {
            "bad-token": "Token 0123456789",
            "bad-bearer": "Bearer nonsense",
            "foo": "Foo bar",
            "malformed-token": "Token",
        }
        if user in strange:
            headers["Authorization"] = strange[user]
        if exchange.path.startswith("/api/auth/login") and isinstance(exchange.body, dict):
            more["data"] = json.dumps(self._password(exchange.body, exchange.status)).encode()

    def _password(self, body: dict[str, Any], status: int) -> dict[str, Any]:
        if "password" not in body:
            return body
        known = dict([ADMIN, ANNOTATOR])
        right = known[body["username"]]
        return {**body, "password": right if status == 200 else "wrong"}

    def _post(self, path: str, body: Any, **more: Any) -> Any:
        answer = self.client.post(f"{self.url}{path}", json=body, auth=ADMIN, timeout=60, **more)
        answer.raise_for_status()
        return answer.json()

    def _get(self, path: str) -> Any:
        answer = self.client.get(f"{self.url}{path}", auth=ADMIN, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def _patch(self, path: str, body: Any) -> None:
        self.client.patch(f"{self.url}{path}", json=body, auth=ADMIN, timeout=60).raise_for_status()

    def _prepare_project(self, project: dict[str, Any]) -> None:
        made = self._post(
            "/api/projects", {"name": project["name"], "labels": _without_ids(project["labels"])}
        )
        self.ids.learn("project", project["id"], made["id"])
        self._learn_labels(f"project_id={made['id']}", project["labels"])
        if "assignee_id" in project:
            body = {"assignee_id": self.ids.actual("user", project["assignee_id"])}
            self._patch(f"/api/projects/{made['id']}", body)

    def _annotate(self, recorded: dict[str, Any], task_id: int) -> None:
        body = {kind: recorded[kind] for kind in ("tags", "shapes", "tracks")}
        plain = json.loads(json.dumps(body), object_hook=_without_id)
        answer = self.client.put(
            f"{self.url}/api/tasks/{task_id}/annotations",
            json=self.ids.body(plain),
            auth=ADMIN,
            timeout=60,
        )
        answer.raise_for_status()
        self.ids.match(body, answer.json(), None)

    def _learn_labels(self, query: str, recorded: list[dict[str, Any]]) -> None:
        rows = self._get(f"/api/labels?{query}&page_size=all")["results"]
        by_name = {row["name"]: row for row in rows}
        self.ids.match(recorded, [by_name[label["name"]] for label in recorded], "label")

    def _prepare_task(self, task: dict[str, Any]) -> None:
        spec: dict[str, Any] = {"name": task["name"] or "task", "subset": task["subset"] or ""}
        if task["project_id"] is not None:
            spec["project_id"] = self.ids.actual("project", task["project_id"])
        else:
            spec["labels"] = _without_ids(task["labels"])
        if task["segment_size"]:
            spec["segment_size"] = task["segment_size"]
        if task.get("overlap") is not None:
            spec["overlap"] = task["overlap"]
        made = self._post("/api/tasks", spec)
        self.ids.learn("task", task["id"], made["id"])
        if task["project_id"] is None:
            self._learn_labels(f"task_id={made['id']}", task["labels"])
        if task["frames"]:
            self._fill(task, made["id"])

    def _fill(self, task: dict[str, Any], task_id: int) -> None:
        fields: dict[str, Any] = {"image_quality": task["image_quality"] or 70}
        if "chunk_size" in task:
            fields["chunk_size"] = task["chunk_size"]
        files = {
            f"client_files[{index}]": (name, picture(name, (width, height)))
            for index, (name, width, height) in enumerate(task["frames"])
        }
        answer = self.client.post(
            f"{self.url}/api/tasks/{task_id}/data",
            data={**fields, "sorting_method": "predefined"},
            files=files,
            auth=ADMIN,
            timeout=60,
        )
        answer.raise_for_status()
        state = self._wait(answer.json()["rq_id"])
        assert state["status"] == "finished", state
        jobs = self._get(f"/api/jobs?task_id={task_id}&page_size=all&sort=id")["results"]
        ordered = sorted(job["id"] for job in jobs)
        assert len(ordered) >= len(task["jobs"]), (ordered, task["jobs"])
        for recorded, actual in zip(task["jobs"], ordered, strict=False):
            self.ids.learn("job", recorded, actual)
        if "annotations" in task:
            self._annotate(task["annotations"], task_id)
        for recorded, user in task.get("assignees", {}).items():
            job_id = self.ids.actual("job", int(recorded))
            self._patch(f"/api/jobs/{job_id}", {"assignee": self.ids.actual("user", user)})
        for recorded, columns in task.get("changed_jobs", {}).items():
            self._patch(f"/api/jobs/{self.ids.actual('job', int(recorded))}", columns)


def _without_cookies() -> requests.Session:
    client = requests.Session()
    client.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _id(answer: Any) -> Any:
    return answer.get("id") if isinstance(answer, dict) else None


def _under_way(exchange: Exchange) -> bool:
    """Return whether background work was still under way when the recorded answer came."""
    answer = exchange.answer
    asked = exchange.path.startswith(("/api/requests/", "/api/lambda/requests/"))
    return asked and isinstance(answer, dict) and answer.get("status") in {"queued", "started"}


def _body_kind(exchange: Exchange) -> str | None:
    kind = kind_of(exchange.path)
    return kind if kind != "user" else None


def _without_id(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "id"}


def _without_ids(labels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    cleaned = []
    for label in labels:
        own = {key: value for key, value in label.items() if key not in {"id", "svg"}}
        own["attributes"] = [
            {key: value for key, value in attribute.items() if key != "id"}
            for attribute in label["attributes"]
        ]
        if "sublabels" in label:
            own["sublabels"] = _without_ids(label["sublabels"])
            own["svg"] = label.get("svg", "")
        cleaned.append(own)
    return cleaned


def _binary(recorded: dict[str, Any], response: requests.Response) -> Iterator[str]:
    """Compare what was kept of a file: its archive entries, or its format and size."""
    if "zip_entries" in recorded:
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            names = archive.namelist()
        if names != recorded["zip_entries"]:
            yield f"the archive holds {names}, recorded {recorded['zip_entries']}"
    if "image" in recorded:
        with Image.open(io.BytesIO(response.content)) as image:
            found = {"format": image.format, "size": list(image.size), "mode": image.mode}
        if found != recorded["image"]:
            yield f"the image is {found}, recorded {recorded['image']}"
    kind = recorded.get("content-type")
    if kind and not response.headers.get("content-type", "").startswith(kind):
        yield f"content type {response.headers.get('content-type')}, recorded {kind}"
