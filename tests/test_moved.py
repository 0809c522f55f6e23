"""Scripts written for version 0.1 still find what they import, told where it went."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import cvat_bridge.moved_names
import serverless.moved_names
import trainer.moved_names
import trainer.renamed_names

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


RENAMED = {
    **cvat_bridge.moved_names.RENAMED,
    **serverless.moved_names.RENAMED,
    **trainer.renamed_names.RENAMED,
}


@pytest.mark.parametrize("module", sorted(RENAMED))
def test_what_has_another_name_now_is_found_under_the_old_one(module):
    found = importlib.import_module(module)

    for old, new in RENAMED[module].items():
        place, _, name = new.rpartition(":")
        with pytest.warns(DeprecationWarning, match=rf"{module}\.{old} is now .*{name}"):
            thing = getattr(found, old)
        assert thing is getattr(importlib.import_module(place or module), name)
    with pytest.raises(AttributeError):
        found.never_was_there  # noqa: B018


@pytest.mark.parametrize("module", sorted(trainer.renamed_names.KEYWORDS))
def test_keywords_with_another_name_now_are_taken_under_the_old_one(module):
    found = importlib.import_module(module)

    for name, keywords in trainer.renamed_names.KEYWORDS[module].items():
        known = inspect.signature(getattr(found, name)).parameters
        assert set(keywords.values()) <= set(known)
        assert not set(keywords) & set(known)


def test_an_old_keyword_is_passed_on_and_said():
    from active_learning.settings import SelectionSettings

    with pytest.warns(DeprecationWarning, match="SelectionSettings: believed is now min_confid"):
        assert SelectionSettings(believed=0.4).min_confidence == 0.4
