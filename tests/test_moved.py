"""Scripts written for version 0.1 still find what they import, told where it went."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import cvat_bridge.moved_names
import serverless.moved_names
import trainer.moved_names

MOVED = {
    **cvat_bridge.moved_names.MOVED,
    **serverless.moved_names.MOVED,
    **trainer.moved_names.MOVED,
}
# packages now, modules then: a name that each had, and where it stands
NAMES = {
    "trainer.registry": ("Registry", "trainer.registry.registry"),
    "trainer.cli": ("main", "trainer.cli.app"),
    "cvat_bridge.cli": ("main", "cvat_bridge.cli.app"),
    "serverless.store": ("Entry", "serverless.store.functions"),
    "serverless.host": ("running", "serverless.host.server"),
    "serverless.wire": ("InteractorRequest", "serverless.wire.requests"),
}


@pytest.mark.parametrize("old", sorted(MOVED))
def test_an_old_name_is_the_new_module(old):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {MOVED[old]}"):
        found = importlib.import_module(old)

    assert found is importlib.import_module(MOVED[old])
    assert found.__name__ == MOVED[old]


def test_a_package_that_was_a_module_still_gives_its_names():
    for package, (name, module) in NAMES.items():
        with pytest.warns(DeprecationWarning, match="is now"):
            found = getattr(importlib.import_module(package), name)
        assert found is getattr(importlib.import_module(module), name)


def test_a_name_that_never_was_is_still_missing():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("trainer.never_was")
    with pytest.raises(AttributeError):
        importlib.import_module("trainer.registry").never_was  # noqa: B018


def test_one_class_under_both_names_in_a_fresh_process():
    script = (
        "from cvat_bridge.round.reading import *\n"
        "import cvat_bridge.round.markers as old, cvat_bridge.project.markers as new\n"
        "import cvat_bridge.rest.media as a, cvat_bridge.cvat.rest.media as b\n"
        "assert old is new and a is b\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True)
