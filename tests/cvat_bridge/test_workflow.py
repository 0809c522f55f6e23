"""A round goes on where it was, whatever ended the process or the step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cvat_bridge.errors import UnreachableError
from cvat_bridge.ledger import Ledger
from cvat_bridge.loop.workflow import Answers, Durable, Rounds, Step, StepFailedError
from tests.patience import patience

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def rounds(folder: Path, steps: list[Step], **settings: float) -> Iterator[Rounds]:
    with Ledger(folder / "ledger.db") as ledger:
        durable = Durable(f"sqlite:///{folder / 'rounds.db'}")
        runner = Rounds(steps, ledger, project_id=1, durable=durable, **settings)
        with durable:
            durable.launch()
            yield runner


def test_each_step_sees_the_answers_before_it_and_the_round_keeps_them_all(tmp_path: Path) -> None:
    def second(number: int, answers: Answers) -> dict[str, int]:
        return {"sum": answers["first"]["value"] + number}

    steps = [Step("first", lambda number, _: {"value": 10 * number}), Step("second", second)]

    with rounds(tmp_path, steps) as runner:
        ended = runner.run(3)

    assert ended.answers["first"]["value"] == 30
    assert ended.answers["second"]["sum"] == 33


def test_a_failed_step_says_which_and_why_and_the_next_try_repeats_only_that_step(
    tmp_path: Path,
) -> None:
    calls: list[str] = []

    def steady(number: int, answers: Answers) -> dict[str, int]:
        calls.append("steady")
        return {}

    def shaky(number: int, answers: Answers) -> dict[str, int]:
        calls.append("shaky")
        if calls.count("shaky") == 1:
            raise ValueError("the disk is full")
        return {"ok": 1}

    with rounds(tmp_path, [Step("steady", steady), Step("shaky", shaky)]) as runner:
        with pytest.raises(StepFailedError, match="shaky: the disk is full") as caught:
            runner.run(1)
        waiting = Ledger(tmp_path / "ledger.db").rounds()[0]
        ended = runner.run(1)

    assert (caught.value.step, caught.value.kind) == ("shaky", "ValueError")
    assert waiting.state == "shaky" and "the disk is full" in waiting.waits_for
    assert ended.answers["shaky"]["ok"] == 1
    assert calls == ["steady", "shaky", "shaky"]


def test_an_unreachable_server_is_tried_again_within_the_step(tmp_path: Path) -> None:
    tries: list[int] = []

    def away(number: int, answers: Answers) -> dict[str, int]:
        tries.append(number)
        if len(tries) < 3:
            raise UnreachableError("list jobs", "project 1", 503, "busy")
        return {}

    with rounds(tmp_path, [Step("facts", away)], interval=0.01) as runner:
        runner.run(1)

    assert tries == [1, 1, 1]


def test_a_done_round_is_not_run_twice(tmp_path: Path) -> None:
    calls: list[int] = []

    def once(number: int, answers: Answers) -> dict[str, int]:
        calls.append(number)
        return {}

    with rounds(tmp_path, [Step("once", once)]) as runner:
        runner.run(1)
        runner.run(1)

        assert runner.unfinished() is None
    assert calls == [1]


@pytest.mark.parametrize(
    "how",
    [
        "durable = Durable(url); runner = rounds(); durable.launch()",
        "durable = Durable(url); durable.launch(); runner = rounds(shared=True)",
        "durable = Durable(url, [7]); durable.launch(); runner = rounds(shared=True)",
    ],
    ids=["alone", "a project that is opened later", "a project that is known and opened later"],
)
def test_a_killed_process_goes_on_with_the_step_that_was_under_way(
    tmp_path: Path, how: str
) -> None:
    script = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from cvat_bridge.ledger import Ledger
        from cvat_bridge.loop.workflow import Durable, Rounds, Step
        folder = Path({str(tmp_path)!r})
        url = f"sqlite:///{{folder / 'rounds.db'}}"
        def note(word):
            with (folder / "calls").open("a") as out: out.write(word + "\\n")
        def first(number, answers): note("first"); return {{"value": 5}}
        def second(number, answers):
            note("second")
            if not (folder / "go").exists(): time.sleep(60)
            return {{"value": answers["first"]["value"] + 1}}
        def rounds(**more):
            return Rounds([Step("first", first), Step("second", second)],
                Ledger(folder / "ledger.db"), project_id=7, durable=durable, **more)
        {how}
        print(runner.unfinished(), runner.run(1).answers["second"]["value"])
        """
    )
    calls = tmp_path / "calls"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    deadline = time.monotonic() + patience(60)
    while not (calls.exists() and "second" in calls.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (tmp_path / "go").touch()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "1 6"
    assert calls.read_text().split() == ["first", "second", "second"]


def test_rounds_of_two_projects_go_on_beside_each_other(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=60)

    def meet(number: int, _: Answers) -> dict[str, int]:
        both.wait()
        return {"value": number}

    ended: dict[int, int] = {}
    with Durable(f"sqlite:///{tmp_path / 'rounds.db'}") as durable, ExitStack() as stack:
        durable.launch()

        def go(project: int, number: int) -> None:
            ledger = stack.enter_context(Ledger(tmp_path / f"{project}.db"))
            steps = [Step("meet", meet)]
            runner = Rounds(steps, ledger, project_id=project, durable=durable, shared=True)
            ended[project] = runner.run(number).answers["meet"]["value"]
            assert runner.unfinished() is None
            assert [row.number for row in ledger.rounds()] == [number]

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(go, (3, 5), (1, 4)))

    assert ended == {3: 1, 5: 4}
