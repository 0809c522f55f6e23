"""What `status` says serves, whoever put it there: a round, a person, or nobody any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cvat_bridge.cli.app import app
from cvat_bridge.config import load_config
from cvat_bridge.ledger.records import Decision
from cvat_bridge.loop.status import UNPROVEN
from cvat_bridge.models.serving import project_key, promote, rollback, serve_champion
from tests.fakes.gateway import FakeGateway
from trainer.bundles.bundle import write_bundle
from trainer.registry.registry import Registry


class Project:
    """A project whose round promoted version 1; version 2 is registered and waits."""

    def __init__(self, server, ledger, home):
        project = server.add_project("cells", ["cell"])
        self.home, self.ledger, self.gateway = home, ledger, FakeGateway(server)
        self.path = home.root / "bridge.yaml"
        self.path.write_text(json.dumps({"home": str(home.root), "cvat": {"project": project.id}}))
        self.config = load_config(self.path)
        self.registry = Registry(None, home.root)
        self.key = project_key(project.id)
        self.bundles = [self._register(content) for content in ("one", "two")]
        ledger.save_decision(
            Decision(1, "", self.bundles[0], True, ("it wins",), {}, "2026-02-01T00:00:00")
        )
        first = self.registry.promote(self.key, 1, reasons=("it wins",))
        serve_champion(self.gateway, self.config, home, first)

    def _register(self, content: str) -> str:
        weights = self.home.root / f"{content}.weights"
        weights.write_text(content)
        bundle = write_bundle(
            self.home.root / "made" / content,
            files={"model.onnx": weights},
            name=content,
            engine="centernet",
            task="boxes",
            labels=("cell",),
            input_size=(32, 32),
        )
        return self.registry.register(self.key, bundle).bundle

    def serve(self, change, *words):
        change(self.gateway, self.config, self.home, self.registry, *words)

    def status(self):
        done = CliRunner().invoke(app, ["status", "--config", str(self.path), "--json"])
        if done.exception is not None:
            raise done.exception
        found = json.loads(done.stdout)
        return found["serves"], " ".join(found["why"])


@pytest.fixture
def project(server, ledger, home):
    return Project(server, ledger, home)


def test_status_follows_a_promotion_and_a_rollback_by_hand(project):
    by_round = project.status()
    project.serve(promote, "2")
    by_hand = project.status()
    project.serve(rollback)
    back = project.status()

    assert by_round == (project.bundles[0], "it wins")
    assert by_hand[0] == project.bundles[1]
    assert by_hand[1].startswith("promoted on ")
    assert by_hand[1].endswith(f"by hand {UNPROVEN}")
    assert back == by_round


def test_a_lost_store_is_told_and_not_taken_for_a_model_that_serves(project):
    for path in Path(project.home.functions).glob("*.json"):
        path.unlink()

    serves, why = project.status()

    assert serves is None
    assert "does not serve" in why
    assert "cvat-bridge promote" in why


def test_a_registry_that_cannot_be_read_leaves_the_rest_of_the_status(project):
    project.serve(promote, "2")
    (project.home.root / "mlflow.db").write_bytes(b"not a database" * 100)

    serves, why = project.status()

    assert serves == project.bundles[1]
    assert "why is not known" in why
    assert "damaged" in why
    assert "mlflow.db" in why
