"""The program `trainer`: fit, watch, stop, compare, promote, roll back.

Exit codes: 0 done, 1 failed with a named error, 2 wrong use, 3 nothing to do.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from trainer.bundle import Bundle, read_bundle
from trainer.console import Lines, bars, evaluation_table, explain
from trainer.detector import FitConfig
from trainer.errors import ConfigError, TrainerError
from trainer.registry import Registry, Version

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, add_completion=False
)

Json = Annotated[bool, typer.Option("--json", help="JSON for machines, on standard output.")]
Home = Annotated[Path, typer.Option(help="Folder of the registry and its bundles.")]
Server = Annotated[str | None, typer.Option(help="MLflow server or database; embedded if unset.")]
Data = Annotated[Path, typer.Option(help="Folder in COCO form: annotations.json and images/.")]
_HOME = Path(".cvat-bridge")
_Request = tuple[Path, FitConfig, str]  # data, settings, name


@app.command()
def fit(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run; gone on with if begun before.")],
    *,
    name: Annotated[str, typer.Option(help="What people will call the model.")] = "",
    config: Annotated[
        Path | None, typer.Option(help="YAML of the settings below; options win.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="Model family; centernet if unset.")] = None,
    base: Annotated[
        Path | None, typer.Option(help="Bundle or weights to start from; from scratch if unset.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Times over the images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="At its highest.")] = None,
    image_size: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH the network sees.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same draws.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of learning at most.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda:0, …")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read images.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the backend's own settings.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Part to evaluate on: auto, none, holdout, test or val.")
    ] = "auto",
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
    json_: Json = False,
) -> None:
    """Learn from a dataset: checkpoint, bundle and evaluation in the folder of the run."""
    given = {
        "backend": backend,
        "base": base,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "image_size": image_size,
        "seed": seed,
        "time_limit": time_limit,
        "device": device,
        "workers": workers,
    }

    def request() -> _Request:
        values = _read_yaml(config) | {k: v for k, v in given.items() if v is not None}
        values["extra"] = {**values.get("extra", {}), **_extra(set_ or [])}
        return data, fit_config(values), name

    if json_:
        from trainer.parent import end_with_parent

        end_with_parent(parent)
    _learn(request, out, split, as_lines=json_)


@app.command()
def resume(
    out: Path,
    *,
    time_limit: Annotated[float | None, typer.Option(help="Seconds of learning at most.")] = None,
    split: str = "auto",
    json_: Json = False,
) -> None:
    """Go on with a fit that was stopped or killed, with the settings it was begun with."""
    from trainer.run import read_request, reopen

    def request() -> _Request:
        data, config, name = read_request(out)
        reopen(out)
        return data, replace(config, time_limit=time_limit), name

    _learn(request, out, split, as_lines=json_)


@app.command()
def stop(out: Path) -> None:
    """End a running fit after the step at work; what it learnt becomes the model."""
    from trainer.run import stop_fit

    if not stop_fit(out):
        typer.echo(f"{out}: nothing to stop", err=True)
        raise typer.Exit(3)
    typer.echo(f"{out}: told to stop")


@app.command()
def evaluate(bundle: Path, data: Data, *, split: str = "test", json_: Json = False) -> None:
    """Measure a bundle on a part of a dataset."""
    found = _evaluate(read_bundle(bundle), data, split)
    if json_:
        from trainer.run import figures_of

        typer.echo(json.dumps(figures_of(found)))
        return
    console = Console()
    console.print(evaluation_table(found, f"{bundle} on {len(found.frames)} {split} frames"))
    for note in found.notes:
        console.print(note)


@app.command()
def compare(
    champion: Path,
    challenger: Path,
    data: Data,
    *,
    split: str = "test",
    min_gain: float = 0.0,
    confidence: float = 0.95,
    seed: int = 7,
    json_: Json = False,
) -> None:
    """Hold two bundles against each other on the same frames, as the gate does."""
    from trainer.promote import GateSettings, decide

    settings = GateSettings(min_gain=min_gain, confidence=confidence)
    found = [_evaluate(read_bundle(p), data, split) for p in (champion, challenger)]
    decision = decide(found[0], found[1], settings, rng=np.random.default_rng(seed))
    if json_:
        typer.echo(json.dumps(asdict(decision), default=str))
        return
    console = Console()
    for path, evaluation in zip((champion, challenger), found, strict=True):
        console.print(evaluation_table(evaluation, str(path)))
    for reason in decision.reasons:
        console.print(reason, highlight=False)


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="A bundle's folder, or a key of the registry.")],
    version: Annotated[str | None, typer.Argument(help="Number or hash; all if unset.")] = None,
    *,
    home: Home = _HOME,
    mlflow: Server = None,
    json_: Json = False,
) -> None:
    """Print a bundle's card, or what the registry knows of a key."""
    if (Path(model) / "card.json").exists():
        bundle = read_bundle(Path(model))
        typer.echo(json.dumps({"version": bundle.version, **bundle.card.to_json()}, indent=1))
        return
    registry = Registry(mlflow, home)
    found = registry.versions(model) if version is None else [registry.show(model, version)]
    if json_:
        typer.echo(json.dumps([_version_json(v) for v in found], indent=1))
    for v in found if not json_ else ():
        typer.echo(_line(v))
        if version is not None:
            card = read_bundle(v.path).card.to_json()
            typer.echo(json.dumps({**card, "tags": dict(v.tags)}, indent=1))
    if not found:
        typer.echo(f"{model}: no version is registered in {registry.tracking_uri}", err=True)
        raise typer.Exit(3)


@app.command()
def register(
    key: str, bundle: Path, *, home: Home = _HOME, mlflow: Server = None, json_: Json = False
) -> None:
    """Store a bundle in the registry; it does not serve yet."""
    found = read_bundle(bundle)
    figures = {k: v for k, v in found.card.metrics.items() if isinstance(v, (int, float))}
    _tell(
        Registry(mlflow, home).register(key, found, metrics=figures, params=found.card.settings),
        json_,
    )


@app.command()
def promote(
    key: str, version: str, *, home: Home = _HOME, mlflow: Server = None, json_: Json = False
) -> None:
    """Make a version the champion by a person's word, without the gate."""
    registry = Registry(mlflow, home)
    if registry.show(key, version).champion:
        typer.echo(f"{key}: {version} is the champion already", err=True)
        raise typer.Exit(3)
    _tell(registry.promote(key, version, reasons=("by hand",)), json_)


@app.command()
def rollback(key: str, *, home: Home = _HOME, mlflow: Server = None, json_: Json = False) -> None:
    """Make the previous champion serve again."""
    _tell(Registry(mlflow, home).rollback(key, reasons=("by hand",)), json_)


def main() -> None:
    """Run the program; the one place where errors become exit codes."""
    try:
        app()
    except TrainerError as error:
        explain(error)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


def fit_config(values: dict[str, Any]) -> FitConfig:
    """Build a FitConfig from plain values; ConfigError lists every fault."""
    known = {f.name for f in fields(FitConfig)}
    faults = [
        f"{name} is no setting of a fit; there are {', '.join(sorted(known))}"
        for name in sorted(set(values) - known)
    ]
    kinds: dict[str, Callable[[Any], Any]] = {
        "backend": str,
        "epochs": int,
        "batch_size": int,
        "learning_rate": float,
        "image_size": _size,
        "seed": int,
        "time_limit": float,
        "base": Path,
        "device": str,
        "workers": int,
        "extra": dict,
    }
    read = {"backend": "centernet"}
    for name in sorted(set(values) & known):
        try:
            read[name] = kinds[name](values[name])
        except (TypeError, ValueError) as error:
            faults.append(f"{name} cannot be {values[name]!r}: {error}")
    if faults:
        raise ConfigError(faults)
    return FitConfig(**read)  # type: ignore[arg-type]


def _learn(request: Callable[[], _Request], out: Path, split: str, *, as_lines: bool) -> None:
    lines = Lines() if as_lines else None
    try:
        from trainer.run import run_fit

        data, config, name = request()
        with nullcontext(lines.progress) if lines else bars() as report:
            outcome = run_fit(data, config, out, name=name, split=split, report=report)
    except Exception as error:
        if lines is None:
            raise
        # The edge: whatever ends a fit must reach the process that waits for it.
        traceback.print_exc()
        lines.error(error)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from error
    if lines:
        lines.write("done", outcome.to_json())
        return
    console = Console()
    if outcome.evaluation is not None:
        console.print(evaluation_table(outcome.evaluation, outcome.evaluation.split))
    console.print(f"bundle {outcome.bundle.path} (version {outcome.bundle.version})")


def _evaluate(bundle: Bundle, data: Path, split: str) -> Any:
    from trainer.dataset import load_dataset
    from trainer.engines import load
    from trainer.evaluate import evaluate as measure

    task = "masks" if bundle.card.task == "masks" else "boxes"
    with bars() as report:
        return measure(load(bundle), load_dataset(data), split=split, task=task, report=report)


def _size(text: Any) -> tuple[int, int]:
    parts = text.lower().split("x") if isinstance(text, str) else list(text)
    if len(parts) != 2:
        raise ValueError("expected HEIGHTxWIDTH, such as 384x512")
    return int(parts[0]), int(parts[1])


def _extra(pairs: list[str]) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    faults = []
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not key or not equals:
            faults.append(f"--set needs KEY=VALUE, found {pair!r}")
            continue
        try:
            extra[key] = json.loads(text)
        except ValueError:
            extra[key] = text  # a bare word is text
    if faults:
        raise ConfigError(faults)
    return extra


def _read_yaml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError([f"{path}: {error}"]) from error
    if not isinstance(values, dict):
        raise ConfigError([f"{path}: expected settings, found {type(values).__name__}"])
    return values


def _version_json(version: Version) -> dict[str, Any]:
    return asdict(version) | {"path": str(version.path), "created": version.created.isoformat()}


def _line(version: Version) -> str:
    mark = "champion" if version.champion else ""
    ap = version.metrics.get("ap")
    shown = "" if ap is None else f"AP {ap:.3f}"
    return (
        f"{version.number:>4}  {version.bundle}  {version.created:%Y-%m-%d %H:%M}  {shown}  {mark}"
    )


def _tell(version: Version, as_json: bool) -> None:
    typer.echo(json.dumps(_version_json(version)) if as_json else _line(version))
