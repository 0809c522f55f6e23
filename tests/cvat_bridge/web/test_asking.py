"""What a form or a script leaves out is the configuration's."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from cvat_bridge.config import Config
from cvat_bridge.web.routes.request_models import AskedTask, TaskForm, request_of


@pytest.fixture
def visit():
    config = Config.model_validate({"rounds": {"job_size": 7}})
    person = SimpleNamespace(username="mira")
    return SimpleNamespace(
        site=SimpleNamespace(config=config), session=SimpleNamespace(person=person)
    )


@pytest.mark.parametrize("kind", [AskedTask, TaskForm])
@pytest.mark.parametrize(("given", "size"), [({}, 7), ({"job_size": 3}, 3)])
def test_jobs_are_as_large_as_a_rounds_unless_something_else_is_asked_for(visit, kind, given, size):
    asked = kind(key="0" * 32, name=" Dark  cells ", frames=["4/1!", "4/2"], **given)

    found = request_of(visit, asked)

    assert (found.job_size, found.who, found.name) == (size, "mira", "Dark cells")
    assert (found.frames, found.controls) == (("4/1", "4/2"), {"4/1"})
