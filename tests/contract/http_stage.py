"""The suite over HTTP: the sandbox, or a real CVAT."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.cvat.gateway import Gateway, RawShape
from tests.contract.listener import Listener
from tests.contract.stage import unique

PAGE_SIZE = 8
WAIT_SECONDS = 120


class HttpStage:
    """People speak plain HTTP to the server; only the gateway goes through our client."""

    def __init__(
        self,
        url: str,
        cache_dir: Path,
        *,
        token: str | None,
        login: tuple[str, str] | None,
        share_dir: Path | None = None,
        listener: Listener | None = None,
        hosts_functions: bool = False,
    ) -> None:
        self.url, self._cache_dir = url, cache_dir
        self._login, self._share_dir, self._listener = login, share_dir, listener
        self._hosts_functions = hosts_functions
        self._open = ExitStack()
        self._projects: list[int] = []
        self._tokens: list[int] = []
        self._http = requests.Session()
        self.is_admin = False
        if token is not None:
            self._http.headers["Authorization"] = f"Bearer {token}"
            self.gateway = self.client(token=token)
        else:
            if login is None:
                raise ValueError("a token or a login is needed")
            self._http.auth = login
            self.gateway = self.client(username=login[0], password=login[1])
        self.is_admin = self.gateway.identity().is_admin

    def client(self, **how: Any) -> CvatClient:
        """Sign in once more."""
        return self._open.enter_context(
            connect(self.url, cache_dir=self._cache_dir, page_size=PAGE_SIZE, patience=30, **how)
        )

    def call(self, method: str, path: str, *, login: bool = False, **more: Any) -> Any:
        """Speak to the server as a person; login: by password even where there is a token."""
        http = self._http
        if login:
            if self._login is None:
                pytest.skip("needs CVAT_USER and CVAT_PASSWORD")
            http = requests.Session()
            http.auth = self._login
        answer = http.request(method, self.url + path, timeout=60, **more)
        if not answer.ok:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def add_project(self, labels: Sequence[Mapping[str, Any]]) -> int:
        body = {"name": unique("project"), "labels": list(labels)}
        number: int = self.call("POST", "/api/projects", json=body)["id"]
        self._projects.append(number)
        return number

    def add_task(
        self,
        project_id: int,
        images: Mapping[str, bytes],
        *,
        segment_size: int = 0,
        replicas: int = 0,
    ) -> int:
        body: dict[str, Any] = {"name": unique("task"), "project_id": project_id}
        if segment_size:
            body["segment_size"] = segment_size
        if replicas:
            body["consensus_replicas"] = replicas
        return self._with_data(body, images)

    def add_video_task(self, project_id: int, video: bytes, frames: int) -> int:
        del frames
        body = {"name": unique("video"), "project_id": project_id, "segment_size": 6}
        return self._with_data(body, {"clip.mp4": video}, chunk_size=4)

    def add_empty_task(self, project_id: int, name: str) -> int:
        body = {"name": name, "project_id": project_id}
        number: int = self.call("POST", "/api/tasks", json=body)["id"]
        return number

    def _with_data(self, body: Mapping[str, Any], files: Mapping[str, bytes], **fields: Any) -> int:
        number: int = self.call("POST", "/api/tasks", json=body)["id"]
        parts = {
            f"client_files[{place}]": (name, content)
            for place, (name, content) in enumerate(files.items())
        }
        form = {"image_quality": 70, "use_cache": "true", **fields}
        started = self.call("POST", f"/api/tasks/{number}/data", data=form, files=parts)
        until = time.monotonic() + WAIT_SECONDS
        while True:
            state = self.call("GET", f"/api/requests/{requests.utils.quote(started['rq_id'], '')}")
            if state["status"] == "finished":
                return number
            if state["status"] == "failed" or time.monotonic() > until:
                raise AssertionError(f"the task's data: {state}")
            time.sleep(0.2)

    def add_ground_truth_job(self, task_id: int, frames: Sequence[int]) -> int:
        body = {
            "type": "ground_truth",
            "task_id": task_id,
            "frame_selection_method": "manual",
            "frames": list(frames),
        }
        number: int = self.call("POST", "/api/jobs", json=body)["id"]
        return number

    def annotate(
        self,
        job_id: int,
        *,
        shapes: Sequence[RawShape] = (),
        tags: Sequence[RawShape] = (),
        tracks: Sequence[RawShape] = (),
    ) -> None:
        body = {
            "version": 0,
            "shapes": list(shapes),
            "tags": list(tags),
            "tracks": list(tracks),
        }
        self.call("PATCH", f"/api/jobs/{job_id}/annotations?action=create", json=body)

    def read_only_gateway(self) -> Gateway:
        made = self.call(
            "POST",
            "/api/auth/access_tokens",
            login=True,
            json={"name": unique("token")[:50], "read_only": True},
        )
        self._tokens.append(made["id"])
        return self.client(token=made["value"])

    def password_gateway(self) -> Gateway:
        if self._login is None:
            pytest.skip("needs CVAT_USER and CVAT_PASSWORD")
        return self.client(username=self._login[0], password=self._login[1])

    def intruder(self) -> Gateway:
        return self.client(token="cvat-no-such-token")

    def share(self, images: Mapping[str, bytes]) -> None:
        if self._share_dir is None:
            pytest.skip("the files of this server's share are out of our reach")
        for name, content in images.items():
            path = self._share_dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def issue(self, number: int) -> tuple[int, str, list[float]]:
        row = self.call("GET", f"/api/issues/{number}")
        said = self.call("GET", f"/api/comments?issue_id={number}")["results"]
        return row["frame"], said[-1]["message"], row["position"]

    def webhook_target(self) -> str:
        if self._listener is None:
            pytest.skip("needs CVAT_CALLBACK_HOST, an address of ours that CVAT can reach")
        return f"{self._listener.url}/hook"

    def deliveries(self) -> list[tuple[Mapping[str, str], bytes]]:
        if self._listener is None:
            pytest.skip("needs CVAT_CALLBACK_HOST, an address of ours that CVAT can reach")
        return list(self._listener.received)

    def function_names(self) -> set[str]:
        if not self._hosts_functions:
            pytest.skip("what functions this server has is not ours to know")
        return {"spots"}

    def close(self) -> None:
        """Take away what was made, whatever happened to it before."""
        for number in self._projects:
            with contextlib.suppress(AssertionError):
                self.call("DELETE", f"/api/projects/{number}")
        for number in self._tokens:
            with contextlib.suppress(AssertionError):
                self.call("DELETE", f"/api/auth/access_tokens/{number}", login=True)
        self._open.close()
        self._http.close()
