"""The sign of a bridge at work."""

from __future__ import annotations

from datetime import datetime

import pytest

from cvat_bridge.errors import NotFoundError
from tests.contract.conftest import LABELS


def test_a_lease_is_kept_dated_by_the_server_and_is_no_webhook(stage):
    project = stage.add_project(LABELS)
    hooks = stage.gateway.webhooks(project)

    made = stage.gateway.take_lease(project, "00ff" * 4, "on a machine, home /srv/bridge")
    renewed = stage.gateway.renew_lease(made)

    assert stage.gateway.leases(project) == (renewed,)
    assert (renewed.id, renewed.holder) == (made.id, "00ff" * 4)
    assert renewed.description == "on a machine, home /srv/bridge"
    assert datetime.fromisoformat(renewed.renewed) > datetime.fromisoformat(made.renewed)
    assert stage.gateway.webhooks(project) == hooks


def test_a_lease_that_was_dropped_cannot_be_renewed(stage):
    project = stage.add_project(LABELS)
    made = stage.gateway.take_lease(project, "ab12", "here")

    stage.gateway.drop_lease(made)
    stage.gateway.drop_lease(made)

    assert stage.gateway.leases(project) == ()
    with pytest.raises(NotFoundError):
        stage.gateway.renew_lease(made)
