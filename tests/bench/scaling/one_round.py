"""One round over a project of many frames, all of them predicted before; prints one JSON line.

    python -m tests.bench.scaling.one_round --frames 100000 --home FOLDER [--fill] [--profile FILE]

--fill writes the project's records first and ends: the round is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from active_learning.pool import ProjectState
from active_learning.settings import SelectionSettings
from cvat_bridge.config import Config, CvatSection
from cvat_bridge.database.place import Place
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.loop.choosing import choose_frames
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.predict import Predicted, predict
from cvat_bridge.loop.prioritise import prioritise
from cvat_bridge.loop.recording import open_appearance, record_the_pool
from cvat_bridge.project.facts import Facts
from cvat_bridge.project.reading import ProjectReader
from cvat_bridge.settings import RoundSettings
from tests.bench.scaling.synthetic import CLASSES, MODEL, LargeGateway, NothingToRead, fill, project
from trainer.registry.registry import Registry

LABELLED, BUDGET = 20, 100


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill the records, or run and measure the round."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scaling.one_round")
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--url", help="a PostgreSQL in place of SQLite")
    parser.add_argument("--fill", action="store_true")
    parser.add_argument("--profile", type=Path)
    given = parser.parse_args(arguments)
    server, number = project(given.frames, tasks=given.tasks, labelled=LABELLED)
    home = Home(given.home)
    place = Place("project", url=given.url, schema="bench") if given.url else None
    with Ledger(place or home.ledger) as ledger:
        if given.fill:
            fill(server, ledger, home)
            return
        gateway = LargeGateway(server)
        parts = Parts(
            config=Config(home=given.home, cvat=CvatSection(project=number)),
            settings=RoundSettings(budget=BUDGET, selection=SelectionSettings()),
            gateway=gateway,
            ledger=ledger,
            home=home,
            registry=Registry(None, given.home),
            reader=ProjectReader(gateway, ledger, number),
        )
        profile = cProfile.Profile(time.process_time) if given.profile else nullcontext()
        with profile:
            seconds, selected = one_round(parts)
        if isinstance(profile, cProfile.Profile):
            profile.dump_stats(given.profile)
    steps = {f"{name}_s": round(value, 3) for name, value in seconds.items()}
    print(json.dumps({"seconds": sum(seconds.values()), "peak_mb": peak_mb(), **steps, **selected}))


def one_round(parts: Parts) -> tuple[dict[str, float], dict[str, int]]:
    """Do the steps that a round does with its pool, each from the facts of its moment."""
    seconds: dict[str, float] = {}

    def timed(name: str, began: float) -> None:
        seconds[name] = seconds.get(name, 0) + time.process_time() - began
        print(f"{name}: {seconds[name]:.1f} s, {peak_mb():.0f} MB", file=sys.stderr)

    def predicted(facts: Facts) -> Predicted:
        return predict(
            parts.gateway,
            parts.ledger,
            facts,
            home=parts.home,
            settings=parts.settings,
            detector=NothingToRead(),
            model=MODEL,
        )

    began = time.process_time()
    facts = parts.gather()
    timed("facts", began)
    began = time.process_time()
    read = predicted(facts)
    timed("predict", began)
    began = time.process_time()
    with open_appearance(parts) as appearance:
        record_the_pool(parts, 1, facts, read, appearance)
    timed("record", began)
    del facts, read
    began = time.process_time()
    facts = parts.gather()
    read = predicted(facts)
    chosen = choose_frames(
        parts.ledger,
        facts,
        read,
        number=1,
        home=parts.home,
        settings=parts.settings,
        state=ProjectState(
            labelled=LABELLED,
            trusted=True,
            class_names=CLASSES,
            class_counts=np.linspace(10, 500, len(CLASSES)),
        ),
    )
    timed("select", began)
    del facts, read
    began = time.process_time()
    made = prioritise(
        parts.gateway,
        parts.ledger,
        parts.gather(),
        number=1,
        home=parts.home,
        settings=parts.settings,
    )
    timed("prioritise", began)
    assert len(chosen.frames) == BUDGET == sum(len(job.frames) for job in made.jobs)
    return seconds, {"selected": len(chosen.frames), "jobs": len(made.jobs)}


def peak_mb() -> float:
    """Return the most memory that this process held, in MB.

    Not ru_maxrss: that counts the memory of the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
