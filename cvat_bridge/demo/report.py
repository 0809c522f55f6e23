"""What the demo leaves: report.json, learning_curve.png and report.html."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from cvat_bridge.errors import ConfigError

Row = Mapping[str, Any]  # one round of one arm, in the form of report.json
Arms = Mapping[str, Sequence[Row]]

COLOURS = {"loop": "#2563eb", "random": "#94a3b8"}
OUTCOMES = ("kept", "nudged", "relabelled", "redrawn", "deleted", "added")
OUTCOME_COLOURS = ("#15803d", "#65a30d", "#ca8a04", "#ea580c", "#b91c1c", "#475569")


def write_report(folder: Path, arms: Arms, *, about: Mapping[str, Any]) -> Path:
    """Write the three files; return the path of the page. about: what was run, for the head."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"arms": {name: list(rows) for name, rows in arms.items()}, "about": dict(about)}
    (folder / "report.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    curve = folder / "learning_curve.png"
    draw_curve(curve, arms, title=str(about.get("data", "")))
    work = folder / "corrections.png"
    draw_corrections(work, arms)
    page = Environment(
        loader=PackageLoader("cvat_bridge.demo", "."), autoescape=select_autoescape()
    ).get_template("report.html")
    path = folder / "report.html"
    path.write_text(
        page.render(
            arms=arms,
            about=about,
            outcomes=OUTCOMES,
            pictures={"curve": _inline(curve), "work": _inline(work)},
        ),
        encoding="utf-8",
    )
    return path


def serving(row: Row) -> Mapping[str, float] | None:
    """Give the figures of the model that serves after a round."""
    answer = row["challenger"] if row["decision"]["promoted"] else row["champion"]
    return answer if answer is None else dict(answer)


def draw_curve(path: Path, arms: Arms, *, title: str) -> None:
    """Draw AP and AP50 of the serving model against labelled frames, an arm a line."""
    figure, axes = _figure(1, 2)
    for axis, metric in zip(axes, ("ap", "ap50"), strict=True):
        for name, rows in arms.items():
            known = [(row["labelled_frames"], serving(row), row) for row in rows]
            points = [(x, model[metric], row) for x, model, row in known if model is not None]
            xs, ys = [p[0] for p in points], [p[1] for p in points]
            axis.plot(xs, ys, "-", color=COLOURS.get(name), label=name, linewidth=2)
            for x, y, row in points:
                promoted = row["decision"]["promoted"]
                axis.plot(
                    x, y, "o", color=COLOURS.get(name), fillstyle="full" if promoted else "none"
                )
                axis.annotate(
                    f"{y:.2f}", (x, y), textcoords="offset points", xytext=(4, 5), fontsize=8
                )
        axis.set_xlabel("labelled frames")
        axis.set_title({"ap": "AP (IoU 0.50 to 0.95)", "ap50": "AP50"}[metric] + " on the holdout")
        axis.set_ylim(0, 1)
        axis.grid(alpha=0.25)
        axis.legend(loc="lower right", title="filled: promoted")
    figure.suptitle(title)
    figure.savefig(path, dpi=130, bbox_inches="tight")


def draw_corrections(path: Path, arms: Arms) -> None:
    """Draw what people did to the pre-annotations, a stacked bar a round."""
    figure, axes = _figure(1, len(arms))
    for axis, (name, rows) in zip(axes, arms.items(), strict=True):
        low = [0] * len(rows)
        ticks = [f"round {row['round']}" for row in rows]
        for outcome, colour in zip(OUTCOMES, OUTCOME_COLOURS, strict=True):
            counts = [row["pre_annotations"].get(outcome, 0) for row in rows]
            axis.bar(ticks, counts, bottom=low, color=colour, label=outcome)
            low = [a + b for a, b in zip(low, counts, strict=True)]
        axis.set_title(f"{name}: objects a person kept, mended or drew")
        axis.legend(fontsize=7)
    figure.savefig(path, dpi=130, bbox_inches="tight")


def figure_class() -> Any:
    """Return matplotlib's Figure; ConfigError where it is not installed."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        fault = (
            "the report's curves cannot be drawn: matplotlib is not installed. Install the extra "
            "`report`: pip install 'cvat-active-learning[report]'"
        )
        raise ConfigError([fault]) from error
    return Figure


def _figure(rows: int, columns: int) -> tuple[Any, Any]:
    # The object interface: no window system and no global state.
    figure = figure_class()(figsize=(6.2 * columns, 4.2 * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
