"""A server for the contract suite: the gateway under test, and what people do beside it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pytest

from cvat_bridge.cvat.gateway import Attribute, FunctionInfo, Gateway, Label, RawShape
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from tests.fakes.server import FakeServer
from tests.fakes.videos import shade


class Stage(Protocol):
    """What the suite needs of a server besides the gateway."""

    gateway: Gateway  # its lists come in pages of a few
    is_admin: bool  # whether the gateway's user is an administrator

    def add_project(self, labels: Sequence[Mapping[str, Any]]) -> int: ...

    def add_task(
        self,
        project_id: int,
        images: Mapping[str, bytes],
        *,
        segment_size: int = 0,
        replicas: int = 0,
    ) -> int: ...

    def add_video_task(self, project_id: int, video: bytes, frames: int) -> int: ...

    def add_empty_task(self, project_id: int, name: str) -> int: ...

    def add_ground_truth_job(self, task_id: int, frames: Sequence[int]) -> int: ...

    def annotate(
        self,
        job_id: int,
        *,
        shapes: Sequence[RawShape] = (),
        tags: Sequence[RawShape] = (),
        tracks: Sequence[RawShape] = (),
    ) -> None:
        """Write to a job as a person does."""

    def read_only_gateway(self) -> Gateway: ...

    def password_gateway(self) -> Gateway:
        """A gateway that signed in by user and password."""

    def intruder(self) -> Gateway:
        """A gateway whose credentials are not good."""

    def share(self, images: Mapping[str, bytes]) -> None:
        """Put files onto the share of the server."""

    def issue(self, number: int) -> tuple[int, str, list[float]]:
        """Read an issue's frame, message and position."""

    def webhook_target(self) -> str:
        """Return an address that the server can reach."""

    def deliveries(self) -> list[tuple[Mapping[str, str], bytes]]:
        """Return headers and body of what webhook_target received."""

    def function_names(self) -> set[str]:
        """Name the functions that the server's function host is known to have."""

    def close(self) -> None: ...


def unique(name: str) -> str:
    """Make a name of that nobody else's object on the server has."""
    return f"contract {name} {uuid.uuid4().hex[:10]}"


class FakeStage:
    """The suite over the gateway in memory, which knows no ordinary user."""

    is_admin = True

    def __init__(self) -> None:
        self.server = FakeServer()
        self.gateway = FakeGateway(self.server)
        self.server.functions.append(FunctionInfo("spots", "detector", "Spots"))

    def add_project(self, labels: Sequence[Mapping[str, Any]]) -> int:
        return self.server.add_project(unique("project"), [_label(label) for label in labels]).id

    def add_task(
        self,
        project_id: int,
        images: Mapping[str, bytes],
        *,
        segment_size: int = 0,
        replicas: int = 0,
    ) -> int:
        return self.server.add_task(
            project_id, images, segment_size=segment_size, replicas=replicas
        ).id

    def add_video_task(self, project_id: int, video: bytes, frames: int) -> int:
        del video  # what a decoder makes of it
        images = {f"{n}.png": _grey(shade(n)) for n in range(frames)}
        return self.server.add_task(project_id, images, is_video=True).id

    def add_empty_task(self, project_id: int, name: str) -> int:
        return self.server.add_empty_task(project_id, name).id

    def add_ground_truth_job(self, task_id: int, frames: Sequence[int]) -> int:
        return self.server.add_ground_truth_job(task_id, frames).id

    def annotate(
        self,
        job_id: int,
        *,
        shapes: Sequence[RawShape] = (),
        tags: Sequence[RawShape] = (),
        tracks: Sequence[RawShape] = (),
    ) -> None:
        self.server.annotate(job_id, shapes=shapes, tags=tags, tracks=tracks)

    def read_only_gateway(self) -> Gateway:
        return FakeGateway(self.server, read_only=True)

    def password_gateway(self) -> Gateway:
        pytest.skip("the gateway in memory has no sign-in")

    def intruder(self) -> Gateway:
        pytest.skip("the gateway in memory has no sign-in")

    def share(self, images: Mapping[str, bytes]) -> None:
        self.server.share.update(images)

    def issue(self, number: int) -> tuple[int, str, list[float]]:
        issue = self.server.issues[number]
        return issue["frame"], issue["message"], issue["position"]

    def webhook_target(self) -> str:
        return "http://127.0.0.1:1/hook"

    def deliveries(self) -> list[tuple[Mapping[str, str], bytes]]:
        pytest.skip("the gateway in memory delivers nothing")

    def function_names(self) -> set[str]:
        return {"spots"}

    def close(self) -> None:
        """Leave nothing behind: it is memory."""


def _label(given: Mapping[str, Any]) -> Label:
    attributes = tuple(
        Attribute(
            0,
            attribute["name"],
            attribute["input_type"],
            tuple(attribute["values"]),
            attribute["default_value"],
            attribute["mutable"],
        )
        for attribute in given.get("attributes", ())
    )
    return Label(0, given["name"], given["type"], attributes)


def _grey(value: int) -> bytes:
    import io

    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (96, 64), (value, value, value)).save(content, format="PNG")
    return content.getvalue()


def pictures(count: int, *, kind: str = "PNG") -> dict[str, bytes]:
    """Make distinct images by name."""
    return {f"frame_{n:02}.{kind.lower()}": picture(n, kind=kind) for n in range(count)}
