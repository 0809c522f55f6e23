"""`make demo`: sandbox, function host and bridge as real processes, three rounds, two arms."""

from __future__ import annotations

import math
import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cvat_bridge.demo.annotator import Annotator
from cvat_bridge.demo.arm import Plan, run_arm
from cvat_bridge.demo.project import prepare
from cvat_bridge.demo.report import figure_class, serving, write_report
from cvat_bridge.demo.scenes import SIZE, write_scenes
from cvat_bridge.demo.truth import Truth, read_truth
from cvat_bridge.sandbox import SandboxUser, running
from serverless.host import running as host_running
from trainer.images import decode

ARMS: dict[str, dict[str, Any]] = {
    "loop": {"strategy": "auto"},
    "random": {"strategy": "random", "control_share": 0.0},
}
# Steps, not seconds, so that a busy machine learns the same. From round 2 on the champion is the
# base.
QUICK: dict[str, Any] = {
    "image_size": list(SIZE),
    "batch_size": 8,
    "learning_rate": 4e-3,
    "warm_start": True,
    "extra": {"steps": 80, "width": 16, "ema": 0.95},
}
REAL: dict[str, Any] = {"learning_rate": 4e-3, "warm_start": True, "extra": {"steps": 200}}
PIXELS = 144 * 192  # what the network sees of a real image; more is slower and hardly better here
PASSWORD = "annotates-for-the-demo"  # noqa: S105 - of a sandbox on loopback that dies with us
console = Console()


def main(
    data: Annotated[
        Path | None, typer.Option(help="Folder in COCO form; images are made without it.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("demo-out"),
    rounds: Annotated[int, typer.Option(help="Rounds an arm.")] = 3,
    budget: Annotated[int | None, typer.Option(help="Frames a round.")] = None,
    backend: Annotated[str, typer.Option(help="What learns.")] = "centernet",
) -> None:
    """Show the loop at work and leave report.html, learning_curve.png and report.json."""
    began = time.monotonic()
    figure_class()  # missing, it is told of now and not after the last round
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    folder = data or write_scenes(out / "scenes")
    truth = read_truth(folder)
    learning = QUICK if data is None else {**REAL, "image_size": list(seen_size(truth.pool))}
    plan = Plan(
        rounds=rounds,
        budget=budget or min(40, max(10, len(truth.pool) // (12 if data is None else 6))),
        trainer={"backend": backend, **(learning if backend == "centernet" else {})},
    )
    console.print(
        f"{data or 'made images'}: {len(truth.pool)} frames in the pool, {len(truth.holdout)} "
        f"in the holdout; {rounds} rounds of {plan.budget} frames an arm"
    )
    arms = _run(out, truth, plan)
    about = {
        "data": str(data or "images made for the demo"),
        "pool": len(truth.pool),
        "holdout": len(truth.holdout),
        "rounds": rounds,
        "budget": plan.budget,
        "backend": backend,
        "seconds": round(time.monotonic() - began, 1),
    }
    page = write_report(out, arms, about=about)
    for name, rows in arms.items():
        curve = ", ".join(
            f"{row['labelled_frames']} frames: AP {model['ap']:.3f}, AP50 {model['ap50']:.3f}"
            if (model := serving(row))
            else f"{row['labelled_frames']} frames: no model"
            for row in rows
        )
        console.print(f"{name}: {curve}")
    console.print(f"the report is {page} ({about['seconds']} s)")


def seen_size(files: Sequence[Path]) -> tuple[int, int]:
    """Give the size (height, width) of PIXELS in all that fits the images' usual aspect."""
    with_sizes = [decode(path.read_bytes()).shape for path in files[:: max(1, len(files) // 20)]]
    aspect = statistics.median(shape[0] / shape[1] for shape in with_sizes)
    height = round(math.sqrt(PIXELS * aspect) / 16) * 16
    return height, round(height / aspect / 16) * 16


def _run(out: Path, truth: Truth, plan: Plan) -> dict[str, list[dict[str, Any]]]:
    store = out / "functions"
    arms: dict[str, list[dict[str, Any]]] = {}
    bar = Progress(
        TextColumn("{task.description:>7}"),
        BarColumn(),
        TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(),
        console=console,
    )
    users = [
        SandboxUser(f"annotator-{name}", f"{PASSWORD}-{name}", is_admin=False) for name in ARMS
    ]
    with (
        host_running(store, log=out / "host.log") as host_url,
        running(out / "sandbox", users=users, function_host=host_url) as sandbox,
        bar,
    ):
        for name, strategy in ARMS.items():
            row = bar.add_task(name, total=plan.rounds, what="uploads the images")
            prepared = prepare(sandbox.url, sandbox.admin_token, f"demo {name}", truth)
            user = next(user for user in users if user.username.endswith(name))

            def told(number: int, what: str, row: Any = row) -> None:
                bar.update(row, completed=number - 1, what=f"round {number}: {what}")

            arms[name] = run_arm(
                name,
                strategy,
                url=sandbox.url,
                token=sandbox.admin_token,
                prepared=prepared,
                annotator=Annotator(sandbox.url, user.username, user.password, truth.objects),
                store=store,
                folder=out / name,
                host_url=host_url,
                plan=plan,
                told=told,
            )
            bar.update(row, completed=plan.rounds, what="done")
    return arms


if __name__ == "__main__":
    typer.run(main)
