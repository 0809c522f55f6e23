"""What assigning would meet after a round is said before it; the sandbox refuses as CVAT does."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvat_bridge.cvat.client import connect
from cvat_bridge.demo.ground_truth import read_truth
from cvat_bridge.demo.project import prepare
from cvat_bridge.demo.scenes import write_scenes
from cvat_bridge.errors import AuthenticationError, ConfigError
from cvat_bridge.ledger.records import RankedJob
from cvat_bridge.loop.people.assignment import assign, check_assignees
from cvat_bridge.sandbox import SandboxUser, running
from cvat_bridge.settings import RoundSettings

ANNA = SandboxUser("anna", "anna-has-a-password")


def test_outside_an_organization_only_an_administrator_gives_work_to_others(
    tmp_path: Path,
) -> None:
    truth = read_truth(write_scenes(tmp_path / "scenes", pool=2, holdout=1))
    with running(tmp_path / "sandbox", users=[ANNA]) as sandbox:
        prepared = prepare(sandbox.url, sandbox.admin_token, "p", truth)
        with (
            connect(sandbox.url, token=sandbox.admin_token, cache_dir=tmp_path / "a") as admin,
            connect(
                sandbox.url, username="anna", password=ANNA.password, cache_dir=tmp_path / "b"
            ) as anna,
        ):
            job = admin.jobs(task_id=prepared.task_id)[0]
            me, boss = anna.identity().user.id, admin.identity().user.id

            check_assignees(admin, settings=RoundSettings(assignees=(me,)), organization=None)
            admin.update_job(job.id, assignee=me)
            check_assignees(anna, settings=RoundSettings(assignees=(me,)), organization=None)
            for boss_or_name in (boss, str(boss), "admin"):
                by = RoundSettings(assignees=(boss_or_name,))
                with pytest.raises(ConfigError, match="anna is no administrator.*organization"):
                    check_assignees(anna, settings=by, organization=None)
            for mine in (str(me), "anna"):
                by = RoundSettings(assignees=(mine,))
                check_assignees(anna, settings=by, organization=None)
                assert assign(admin, [RankedJob(1, job.id, 1, (0,), (None,), "")], settings=by)
            with pytest.raises(AuthenticationError):
                anna.update_job(job.id, assignee=boss)


def test_a_name_that_cvat_does_not_show_is_told_with_those_it_shows(tmp_path: Path) -> None:
    with (
        running(tmp_path / "sandbox", users=[ANNA]) as sandbox,
        connect(sandbox.url, token=sandbox.admin_token, cache_dir=tmp_path / "a") as admin,
    ):
        for who, told in (
            ("bert", "no user 'bert'; it shows admin, anna"),
            (999, "no user with the id 999; it shows admin, anna"),
            ("999", "no user with the id 999"),
        ):
            with pytest.raises(ConfigError, match=told):
                check_assignees(admin, settings=RoundSettings(assignees=(who,)), organization=None)
