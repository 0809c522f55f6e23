"""Whatever file of the home is gone or damaged: work ends well, or an error names it and a way."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace

import pytest

from cvat_bridge.cvat.lease import ProjectLease
from cvat_bridge.errors import BridgeError, HomeError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.loop.predict import predict
from cvat_bridge.project.facts import gather
from cvat_bridge.pull.pull import pull
from cvat_bridge.recovery.comparing import compare_cvat
from tests.cvat_bridge.recovery.conftest import LATER, Site, a_site, finish
from tests.cvat_bridge.recovery.damage import DAMAGES, FILES, damaged
from tests.fakes.gateway import FakeGateway
from trainer.data.dataset import load_dataset
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


def work(site: Site) -> tuple[str, dict[str, str], int]:
    """Start and read all that a round reads; return what came of it."""
    home = site.home
    with home.held(), Ledger(home.ledger) as ledger:
        compare_records(site.config, ledger)
        compare_cvat(ledger, site.gateway.tasks(site.project_id))
        lease = ProjectLease(site.gateway, site.project_id, holder=home.identity(), told=home.place)
        lease.take()
        lease.release()
        assert home.webhook_secret()
        assert home.service_token()
        facts = gather(site.gateway, ledger, site.project_id, site.settings)
        pulled = pull(
            site.gateway, ledger, facts, home=home, settings=site.settings, now=lambda: LATER
        )
        told = {i.file_name: i.split for i in load_dataset(pulled.dataset.path).images}
        predicted = predict(
            site.gateway, ledger, facts, home=home, settings=site.settings, detector=None
        )
    return pulled.dataset.fingerprint, told, len(predicted.frames)


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


def take_the_way_back(site: Site, path, said: str) -> None:
    """Do what the error says."""
    if "cvat-bridge restore" in said:
        site.restore()
    elif path.is_dir():
        assert "move" in said or "delete" in said
        path.rmdir()
    else:
        assert "delete" in said.lower()
        path.unlink()


def test_a_home_that_cannot_be_a_folder_is_named(tmp_path):
    (tmp_path / "home").write_text("a file")

    found = f"its home {tmp_path / 'home'}.*move it away"
    with pytest.raises(HomeError, match=found), Home(tmp_path / "home").held():
        pass


def test_a_lock_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "home" / "lock").mkdir(parents=True)

    with pytest.raises(HomeError, match="cannot work in its home"), Home(tmp_path / "home").held():
        pass
