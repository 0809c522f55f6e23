"""`make demo`: sandbox, function host and bridge as real processes, three rounds, two arms."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cvat_bridge.demo.annotator import Annotator
from cvat_bridge.demo.arm import ArmPlan, function_id, run_arm
from cvat_bridge.demo.calls import Calls, RetryCallback
from cvat_bridge.demo.champion import Champion, look_for_champion
from cvat_bridge.demo.curves.bands import serving
from cvat_bridge.demo.curves.charts import figure_class
from cvat_bridge.demo.evidence import chosen_examples, chosen_frames, examples, frames_to_show
from cvat_bridge.demo.ground_truth import GroundTruth, read_truth
from cvat_bridge.demo.project import prepare
from cvat_bridge.demo.report import LOOP, Evidence, faults_of, write_report
from cvat_bridge.demo.sample_project import keep_page
from cvat_bridge.demo.scenes import SIZE, write_scenes
from cvat_bridge.errors import BridgeError
from cvat_bridge.home import Home
from cvat_bridge.sandbox import SandboxUser, running
from serverless.errors import HostError
from serverless.host.server import running as host_running
from trainer.errors import TrainerError
from trainer.terminal import PlainConsole

Runs = dict[str, list[list[dict[str, Any]]]]  # by arm: rows of report.json, once a seed
ARMS: dict[str, dict[str, Any]] = {
    "loop": {"strategy": "auto"},
    "random": {"strategy": "random", "control_share": 0.0},
}
# Steps, not seconds, so that a busy machine learns the same. From round 2 on the champion is the
# base. Made images have a size that nothing need be planned for, and one short cycle teaches them.
QUICK: dict[str, Any] = {
    "image_size": list(SIZE),
    "batch_size": 8,
    "warm_start": True,
    "schedule": "cosine",
    "extra": {"steps": 80},
}
# Size, batch and schedule follow the data. The limit is for a machine that is far too slow.
REAL: dict[str, Any] = {"warm_start": True, "time_limit": 90.0, "extra": {"steps": 110}}
START_SECONDS = 300.0  # for a process to say that it listens
CALL_SECONDS = 300.0  # for the function host to answer a call
PASSWORD = "annotates-for-the-demo"  # noqa: S105 - of a sandbox on loopback that dies with us
console = PlainConsole()


def main(
    data: Annotated[
        Path | None, typer.Option(help="Folder in COCO form; images are made without it.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("demo-out"),
    rounds: Annotated[int, typer.Option(help="Rounds an arm.", min=1)] = 3,
    budget: Annotated[int | None, typer.Option(help="Frames a round.", min=1)] = None,
    backend: Annotated[str, typer.Option(help="What learns.")] = "centernet",
    seeds: Annotated[
        int, typer.Option(help="Runs of each arm; from two on the curve has a band.", min=1)
    ] = 1,
    page: Annotated[
        bool, typer.Option("--page", help="Then keep the page running, to click through it.")
    ] = False,
) -> None:
    """Show the loop at work and leave report.html, learning_curve.png and report.json.

    Ends with 1, after the report is written, when CVAT does not list the champion or gets no
    answer from it.
    """
    try:
        faults = demonstrate(
            data,
            out.resolve(),
            rounds=rounds,
            budget=budget,
            backend=backend,
            seeds=seeds,
            page=page,
        )
    except (BridgeError, TrainerError, HostError, httpx.HTTPError) as error:
        faults = [f"{type(error).__name__}: {error}"]
    for fault in faults:
        console.print(f"the demo failed: {fault}", style="red", markup=False, soft_wrap=True)
    if faults:
        raise typer.Exit(1)


def demonstrate(
    data: Path | None,
    out: Path,
    *,
    rounds: int,
    budget: int | None,
    backend: str,
    seeds: int = 1,
    page: bool = False,
) -> list[str]:
    """Run both arms, once a seed, and write the report into out (absolute).

    page: keep everything running afterwards, until Ctrl-C. Returns what must not be so.
    """
    began = time.monotonic()
    figure_class()  # missing, it is told of now and not after the last round
    _emptied(out)
    truth = read_truth(data or write_scenes(out / "scenes"))
    learning = QUICK if data is None else REAL
    plan = ArmPlan(
        rounds=rounds,
        budget=budget or min(40, max(10, len(truth.pool) // (12 if data is None else 6))),
        trainer={"backend": backend, **(learning if backend == "centernet" else {})},
    )
    console.print(
        f"{data or 'made images'}: {len(truth.pool)} frames in the pool, {len(truth.holdout)} "
        f"in the holdout; {rounds} rounds of {plan.budget} frames an arm"
    )
    repeated: list[str] = []

    def on_retry(sentence: str) -> None:
        repeated.append(sentence)
        console.print(sentence, style="yellow", markup=False)

    def told(runs: Runs, evidence: Evidence) -> list[str]:
        about["seconds"] = round(time.monotonic() - began, 1)
        arms = {name: of[0] for name, of in runs.items()}
        report = write_report(out, arms, evidence, about=about, repeats=runs)
        _tell(arms, evidence, report, about)
        return faults_of(evidence.champions)

    about: dict[str, Any] = {
        "data": str(data or "images made for the demo"),
        "pool": len(truth.pool),
        "holdout": len(truth.holdout),
        "rounds": rounds,
        "budget": plan.budget,
        "seeds": seeds,
        "backend": backend,
        "repeated": repeated,
    }
    return _run(out, truth, plan, on_retry, told, seeds=seeds, page=page)


def _tell(
    arms: Mapping[str, list[dict[str, Any]]],
    evidence: Evidence,
    report: Path,
    about: dict[str, Any],
) -> None:
    """Print how both arms ended."""
    for name, rows in arms.items():
        curve = ", ".join(
            f"{row['labelled_frames']} frames: AP {model['ap']:.3f}, AP50 {model['ap50']:.3f}"
            if (model := serving(row))
            else f"{row['labelled_frames']} frames: no model"
            for row in rows
        )
        console.print(f"{name}: {curve}")
    for name, champion in evidence.champions.items():
        if champion.answers:
            objects = sum(len(found) for found in champion.found.values())
            console.print(
                f"{name}: CVAT lists {champion.function_id}, which found {objects} objects in "
                f"{len(champion.found)} frames"
            )
    console.print(f"the report is {report} ({about['seconds']} s)")


def _emptied(out: Path) -> None:
    """Make an empty folder; BridgeError where it holds what no demo left there."""
    if out.exists():
        if any(out.iterdir()) and not (out / "sandbox").is_dir():
            raise BridgeError(f"{out} holds files that are not a demo's; name an empty folder")
        shutil.rmtree(out)
    out.mkdir(parents=True)


def _run(
    out: Path,
    truth: GroundTruth,
    plan: ArmPlan,
    on_retry: RetryCallback,
    ended: Callable[[Runs, Evidence], list[str]],
    *,
    seeds: int,
    page: bool,
) -> list[str]:
    """Run the arms; `ended` hears of the runs of each, and of what its first run has to show."""
    store = out / "functions"
    runs: Runs = {name: [] for name in ARMS}
    champions: dict[str, Champion] = {}
    shown: dict[str, Any] = {}
    bar = Progress(
        TextColumn("{task.description:>7}"),
        BarColumn(),
        TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
        console=console,
    )
    wanted = [(name, number) for number in range(1, seeds + 1) for name in ARMS]
    users = {
        (name, number): SandboxUser(
            f"annotator-{_called(name, number)}", f"{PASSWORD}-{name}", is_admin=False
        )
        for name, number in wanted
    }
    with (
        host_running(
            store, log=out / "host.log", seconds=START_SECONDS, call_timeout=CALL_SECONDS
        ) as host_url,
        running(
            out / "sandbox",
            users=list(users.values()),
            function_host=host_url,
            seconds=START_SECONDS,
        ) as sandbox,
        bar,
    ):
        calls = Calls(sandbox.url, token=sandbox.admin_token, on_retry=on_retry)
        for name, number in wanted:
            called = _called(name, number)
            row = bar.add_task(called, total=plan.rounds, what="uploads the images")
            project = f"demo {called}"
            prepared = prepare(sandbox.url, sandbox.admin_token, project, truth, on_retry=on_retry)
            user = users[name, number]
            person = Annotator(
                sandbox.url, user.username, user.password, truth.objects, on_retry=on_retry
            )

            def told(number: int, what: str, row: Any = row) -> None:
                bar.update(row, completed=number - 1, what=f"round {number}: {what}")

            rows = run_arm(
                called,
                ARMS[name],
                url=sandbox.url,
                token=sandbox.admin_token,
                prepared=prepared,
                annotator=person,
                store=store,
                folder=out / called,
                host_url=host_url,
                plan=replace(plan, seed=plan.seed + number - 1),
                on_round=told,
                on_retry=on_retry,
            )
            runs[name].append(rows)
            bar.update(row, completed=plan.rounds, what="done")
            if number > 1:
                continue
            bar.update(row, what="asks CVAT for the champion")
            frames = frames_to_show(prepared, truth)
            champions[name] = look_for_champion(
                calls,
                function_id(name),
                version=rows[-1]["serves"],
                task_id=prepared.task_id,
                frames=frames,
                labels=prepared.labels,
            )
            if name == LOOP:
                chosen = chosen_frames(Home(out / name / "home").ledger, plan.rounds)
                shown = {
                    "examples": examples(champions[name], prepared, truth, frames),
                    "chosen": chosen_examples(chosen, prepared, truth.labels),
                    "chosen_of": len(chosen),
                }
            bar.update(row, what="done")
        bar.stop()
        faults = ended(runs, Evidence(champions, truth.labels, **shown))
        if page:
            keep_page(
                out / LOOP,
                sandbox,
                lambda text: console.print(text, markup=False, soft_wrap=True),
            )
        return faults


def _called(name: str, number: int) -> str:
    """Name a run of an arm; the first bears the arm's own name."""
    return name if number == 1 else f"{name}-{number}"


if __name__ == "__main__":
    typer.run(main)
