"""Recorded exchanges with a real CVAT 2.73.0, trimmed, and what they need to exist beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "recordings"


@dataclass(frozen=True)
class Exchange:
    """One request as it was sent and the answer as it came. user says who sent it."""

    file: str
    number: int
    note: str
    user: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    status: int
    answer_headers: tuple[str, ...]
    answer: Any

    def __str__(self) -> str:
        return f"{self.file}#{self.number} {self.method} {self.path} [{self.note}]"


@dataclass(frozen=True)
class Recording:
    """The exchanges of one file. setup names the projects and tasks made before it began."""

    name: str
    setup: Mapping[str, Any]
    exchanges: tuple[Exchange, ...]


def names() -> list[str]:
    """Return the names of all recordings."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def read(name: str) -> Recording:
    """Read one recording."""
    head, *lines = (FOLDER / f"{name}.jsonl").read_text().splitlines()
    exchanges = []
    for line in lines:
        item = json.loads(line)
        request, response = item["request"], item["response"]
        exchanges.append(
            Exchange(
                file=name,
                number=item["n"],
                note=item["note"],
                user=item["user"],
                method=request["method"],
                path=request["path"],
                headers=request.get("headers", {}),
                body=request.get("body"),
                status=response["status"],
                answer_headers=tuple(response.get("headers", ())),
                answer=response["body"],
            )
        )
    return Recording(name, json.loads(head)["setup"], tuple(exchanges))
