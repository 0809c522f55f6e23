"""What the manager's page finds: planted blind spots, false ones, similar frames, and how fast.

A plant is a kind of objects that a model is made to fail on. Simulated detectors, drawn by chance,
fail on them by construction (figures named */simulated); real fits lack the kind in their learning
part (*/fitted; made with --fit, a minute of a quiet core each, and kept under --cache).
`python -m tests.bench.page --data <folder of sets>`; --parts speed times 100,000 objects alone.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tests.bench.figures import Figure, write
from tests.bench.paging import clicks, screens
from tests.bench.paging.measure import Outcome, measure
from tests.bench.paging.people import people_figures
from tests.bench.paging.plants import plants
from tests.bench.paging.sets import Set, read_set
from tests.bench.paging.simulated import answer
from tests.bench.paging.speed import drawn_home, page_ms, similar_ms

PARTS = ("plants", "speed", "people", "screens", "clicks")
SETS = ("bccd_det", "facemask_det", "nuclei_seg")
OBJECTS, POOL, VERSIONS = 100_000, 100_000, 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on the sets, and time the queries."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.page", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="+", default=[*SETS])
    parser.add_argument("--cache", type=Path, default=Path("build/bench/page"))
    parser.add_argument("--fit", action="store_true", help="make the fits that are missing")
    parser.add_argument("--plants", nargs="+", help="only these kinds (first words)")
    parser.add_argument("--lifts", type=int, default=4, help="plants a set to look for in the pool")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    given = parser.parse_args(arguments)
    if "plants" in given.parts:
        _plants(given)
    if "speed" in given.parts:
        _speed()
    if "people" in given.parts:
        write("page", people_figures(given.data, tuple(given.sets), given.cache))
    if "screens" in given.parts:
        screens.main([])
    if "clicks" in given.parts:
        clicks.main([])


def _plants(given: argparse.Namespace) -> None:
    found = ("simulated", "fitted")
    for name in given.sets:
        data = read_set(given.data / name)
        for kind in found:
            done = 0
            for plant in [*plants_of(data), None]:
                if given.plants and (plant is None or plant.name.split()[0] not in given.plants):
                    continue
                if kind == "simulated":
                    rng = np.random.default_rng(0)
                    answers = {
                        image.file_name: answer(image, plant, len(data.classes), rng)
                        for part in ("holdout", "pool")
                        for image in data.part(part)
                    }
                else:
                    from tests.bench.paging.fits import answers_of, default_way

                    made = answers_of(data, plant, default_way(), given.cache / name, fit=given.fit)
                    if made is None:
                        continue
                    answers = made
                lift = plant is not None and (kind == "fitted" or done < given.lifts)
                with tempfile.TemporaryDirectory() as folder:
                    one = measure(
                        data, plant, answers, Path(folder), given.cache / f"looks-{name}", lift=lift
                    )
                done += plant is not None
                _keep(given.cache, kind, one)
                print(f"{name} {kind}: {one}", flush=True)
    for kind in found:
        if outcomes := _kept(given.cache, kind):
            write("page", figures(kind, outcomes))


def _keep(cache: Path, kind: str, one: Outcome) -> None:
    """Keep an outcome, so that sets can be measured one by one and a killed bench loses little."""
    path = cache / f"outcomes-{kind}.json"
    cache.mkdir(parents=True, exist_ok=True)
    rows = json.loads(path.read_text()) if path.exists() else []
    rows = [row for row in rows if (row["data"], row["plant"]) != (one.data, one.plant)]
    path.write_text(json.dumps([*rows, asdict(one)]))


def _kept(cache: Path, kind: str) -> list[Outcome]:
    path = cache / f"outcomes-{kind}.json"
    return [Outcome(**row) for row in json.loads(path.read_text())] if path.exists() else []


def plants_of(data: Set) -> list:  # type: ignore[type-arg]
    """Return the plants of a set that its holdout has enough objects of."""
    every = {
        p.name: p for p in plants(list(data.dataset.images), data.looks, data.classes, data.tasks)
    }
    enough = plants(data.part("holdout"), data.looks, data.classes, data.tasks)
    return [every[p.name] for p in enough if p.name in every]


def figures(kind: str, outcomes: Sequence[Outcome]) -> list[Figure]:
    """Sum up the plants of all sets."""
    planted = [one for one in outcomes if one.plant]
    told = {"simulated": "detectors drawn by chance", "fitted": "heads on frozen features"}[kind]
    rows = []
    if planted:
        hit = [one for one in planted if one.place is not None and one.place <= 3]
        missed = [f"{o.data}: {o.plant} (at {o.place})" for o in planted if o not in hit]
        note = f"{len(planted)} plants, {told}" + (f"; not: {', '.join(missed)}" if missed else "")
        rows.append(
            Figure(f"planted_found_at_3/{kind}", len(hit) / len(planted), "share", note=note)
        )
    pages = sum(one.pages for one in outcomes)
    claims = sum(one.false_claims for one in outcomes)
    note = f"{claims} in {pages} pages whose attributes were dealt anew, confidence 95 %; {told}"
    rows.append(Figure(f"planted_false/{kind}", claims / pages, "slices a page", note=note))
    for name in dict.fromkeys(one.data for one in outcomes):
        lifts = [o for o in planted if o.data == name and o.share is not None and o.base]
        if not lifts:
            continue
        share, base = (float(np.mean([getattr(o, n) for o in lifts])) for n in ("share", "base"))
        early = float(np.mean([o.early for o in lifts]))
        best = float(np.mean([o.best for o in lifts]))
        rows.append(
            Figure(
                f"find_more_lift/{name}/{kind}",
                share / base,
                "times",
                peer="random",
                peer_value=base,
                ratio=share / base,
                note=f"share {share:.2f} of {lifts[0].found} frames hold a failure of the plant, "
                f"{len(lifts)} plants; perfect would be {best / base:.2f} times in a pool of "
                f"{lifts[0].pool}; of the first 10 {early:.2f} ({early / base:.2f} times); {told}",
            )
        )
    return rows


def _speed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home, ledger = drawn_home(Path(folder), OBJECTS, POOL, VERSIONS)
        model = f"m{VERSIONS - 1}"
        began = time.process_time()
        spent = page_ms(home, ledger, model)
        spent["similar"] = similar_ms(home, ledger, model)
        print(f"timed in {time.process_time() - began:.0f} s of processor time")
        ledger.close()
    note = (
        f"processor time of one thread, {OBJECTS} objects, {VERSIONS} versions, pool of {POOL} "
        "frames; the machine was shared, so wall clock says nothing"
    )
    write(
        "page",
        [
            Figure(f"query_ms_p95/{name}", float(np.quantile(rows, 0.95)), "ms", note=note)
            for name, rows in spent.items()
        ],
    )


if __name__ == "__main__":
    main()
