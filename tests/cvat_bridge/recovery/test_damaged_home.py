"""Whatever file of the home is gone or damaged: work ends well, or an error names it and a way."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace

import pytest

from cvat_bridge.errors import BridgeError, HomeError
from cvat_bridge.home import Home
from tests.cvat_bridge.recovery.conftest import Site, a_site, finish
from tests.cvat_bridge.recovery.damage import DAMAGES, FILES, damaged, take_the_way_back, work
from tests.fakes.gateway import FakeGateway
from trainer.errors import TrainerError


@pytest.fixture(scope="module")
def worked(tmp_path_factory) -> Site:
    """A site after one round that had finished jobs to pull."""
    site = a_site(tmp_path_factory.mktemp("worked"))
    finish(site, copies=False, most=1)
    site.round()
    site.home.webhook_secret()
    site.home.service_token()
    return site


@pytest.fixture
def site(worked, tmp_path) -> Site:
    shutil.copytree(worked.home.root, tmp_path / "home")
    server = copy.deepcopy(worked.server)
    return replace(worked.other_home(tmp_path / "home"), server=server, gateway=FakeGateway(server))


@pytest.fixture(scope="module")
def undamaged(worked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undamaged") / "home"
    shutil.copytree(worked.home.root, folder)
    return work(worked.other_home(folder))


@pytest.mark.parametrize("damage", sorted(DAMAGES))
@pytest.mark.parametrize("file", sorted(FILES))
def test_work_ends_the_same_or_an_error_names_the_file_and_the_way_back(
    site, undamaged, file, damage
):
    path = damaged(site.home.root, file, damage)

    said = ""
    try:
        found = work(site)
    except (BridgeError, TrainerError) as error:
        said = str(error)
    if said:
        assert str(path) in said
        take_the_way_back(site, path, said)
        found = work(site)
    assert found == undamaged


def test_a_home_that_cannot_be_a_folder_is_named(tmp_path):
    (tmp_path / "home").write_text("a file")

    found = f"its home {tmp_path / 'home'}.*move it away"
    with pytest.raises(HomeError, match=found), Home(tmp_path / "home").held():
        pass


def test_a_lock_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "home" / "lock").mkdir(parents=True)

    with pytest.raises(HomeError, match="cannot work in its home"), Home(tmp_path / "home").held():
        pass
