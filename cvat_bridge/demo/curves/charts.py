"""The two charts of the report; the panels of each have one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cvat_bridge.demo.curves.bands import Row, Run, points_of
from cvat_bridge.errors import ConfigError

Arms = Mapping[str, Sequence[Row]]  # the rounds of an arm
Runs = Mapping[str, Sequence[Run]]  # the runs of an arm, each with draws of its own

ARM_COLOURS = {"loop": "#2563eb", "random": "#94a3b8"}
OUTCOMES = ("kept", "nudged", "relabelled", "redrawn", "deleted", "added")
OUTCOME_COLOURS = ("#15803d", "#65a30d", "#ca8a04", "#ea580c", "#b91c1c", "#475569")


def learning_curve(runs: Runs) -> Any:
    """Return a matplotlib figure: AP and AP50 of what serves over labelled frames, an arm a line.

    Of several runs the line is the mean and a band reaches from the lowest to the highest.
    """
    figure, axes = _panels(2)
    several = max((len(of) for of in runs.values()), default=1) > 1
    for axis, metric in zip(axes, ("ap", "ap50"), strict=True):
        tallest = {x: max(ys) for x, ys in _heights(runs, metric).items()}
        for name, of in runs.items():
            colour = ARM_COLOURS.get(name, "#0f172a")
            points = points_of(of, metric)
            frames = [point.frames for point in points]
            label = f"{name}, mean of {len(of)} runs" if several else name
            axis.plot(frames, [p.mean for p in points], "-", color=colour, label=label, linewidth=2)
            if several:
                low, high = [p.low for p in points], [p.high for p in points]
                axis.fill_between(frames, low, high, color=colour, alpha=0.18, linewidth=0)
            for point in points:
                x, y, filled = point.frames, point.mean, point.promoted
                axis.plot(x, y, "o", color=colour, fillstyle="full" if filled else "none")
                above = y >= tallest[x]  # the higher arm's figure stands above, the other's below
                axis.annotate(
                    f"{y:.2f}",
                    (x, y),
                    textcoords="offset points",
                    xytext=(0, 8 if above else -16),
                    ha="center",
                    fontsize=9,
                    color="#334155",
                )
        axis.set_xlabel("labelled frames")
        axis.set_title({"ap": "AP (IoU 0.50 to 0.95)", "ap50": "AP50"}[metric], fontsize=11)
        axis.set_ylim(0, 1.1)  # room for the figures of a point at 1
        axis.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axis.margins(x=0.12)
        axis.legend(loc="lower right", title="filled point: promoted", frameon=False)
    return figure


def corrections(arms: Arms) -> Any:
    """Return a matplotlib figure: what people did to the pre-annotations, a stacked bar a round."""
    figure, axes = _panels(len(arms))
    for axis, (name, rows) in zip(axes, arms.items(), strict=True):
        low = [0] * len(rows)
        ticks = [f"round {row['round']}" for row in rows]
        for outcome, colour in zip(OUTCOMES, OUTCOME_COLOURS, strict=True):
            counts = [row["pre_annotations"].get(outcome, 0) for row in rows]
            axis.bar(ticks, counts, bottom=low, color=colour, label=outcome, width=0.6)
            low = [a + b for a, b in zip(low, counts, strict=True)]
        axis.set_title(name, fontsize=11)
        axis.set_ylabel("objects")
    handles, names = axes[-1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(OUTCOMES), frameon=False)
    return figure


def _panels(count: int) -> tuple[Any, Any]:
    # The object interface: no window system and no global state.
    figure = figure_class()(figsize=(5.6 * count, 3.6), layout="constrained")
    axes = list(figure.subplots(1, count, squeeze=False, sharey=True).flat)
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelleft=True)
    return figure, axes


def _heights(runs: Runs, metric: str) -> dict[float, list[float]]:
    """Return the figures of all arms by labelled frames."""
    heights: dict[float, list[float]] = {}
    for of in runs.values():
        for point in points_of(of, metric):
            heights.setdefault(point.frames, []).append(point.mean)
    return heights


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
