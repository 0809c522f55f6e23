"""Each file of a home, what may happen to it, and work that reads all of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from cvat_bridge.cvat.lease import ProjectLease
from cvat_bridge.ledger import Ledger
from cvat_bridge.loop.predict import predict
from cvat_bridge.project.facts import gather
from cvat_bridge.pull.pull import pull
from cvat_bridge.recovery.comparing import compare_cvat
from cvat_bridge.recovery.startup import compare_records
from tests.cvat_bridge.recovery.conftest import LATER, Site
from trainer.data.dataset import load_dataset


def gone(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: max(1, 2 * len(content) // 3)])


def overwritten(path: Path) -> None:
    path.write_bytes(b"\x07\xfe{" * (path.stat().st_size // 3 + 1))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: Mapping[str, Callable[[Path], None]] = {
    "gone": gone,
    "empty": empty,
    "cut": cut,
    "overwritten": overwritten,
    "a folder": a_folder,
}
# By the pattern of its path in the home; the first file that fits is damaged.
FILES: Mapping[str, str] = {
    "ledger": "ledger.db",
    "rounds": "rounds.db",
    "predictions": "predictions/*.db",
    "image": "images/*/*.png",
    "annotations": "annotations/*.json",
    "snapshot's annotations": "snapshots/*/annotations.json",
    "snapshot's manifest": "snapshots/*/manifest.json",
    "snapshot's image": "snapshots/*/images/*.png",
    "webhook's secret": "webhook.secret",
    "service's token": "service.token",
    "home's identity": "identity",
}


def damaged(home: Path, file: str, damage: str) -> Path:
    """Damage a file of a home; return which."""
    path = min(home.glob(FILES[file]))
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    DAMAGES[damage](path)
    return path


def work(site: Site) -> tuple[str, dict[str, str], int]:
    """Start and read all that a round reads; return what came of it."""
    home = site.home
    with home.held(), Ledger(home.ledger) as ledger:
        compare_records(site.config, ledger)
        compare_cvat(ledger, site.gateway.tasks(site.project_id))
        lease = ProjectLease(
            site.gateway, site.project_id, holder=home.identity(), description=home.place
        )
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
