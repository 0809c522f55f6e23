"""The gate's decision as a picture: a value or gain with its interval, and what it must pass."""

from __future__ import annotations

import math

from markupsafe import Markup

from cvat_bridge.web.charts.svg import picture, tag
from cvat_bridge.web.screens.figures import GateVerdict

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _AXIS = 560.0, 118.0, 24.0, 24.0, 62.0


def interval(verdict: GateVerdict) -> Markup:
    """Draw a verdict of kind "compare" or "first"; "" for one without figures."""
    if verdict.kind == "compare" and verdict.gain is not None:
        return _gain(verdict)
    if verdict.kind == "first" and verdict.after is not None:
        return _first(verdict)
    return Markup("")


def _gain(verdict: GateVerdict) -> Markup:
    low, high = verdict.low or 0.0, verdict.high or 0.0
    gain = verdict.gain or 0.0
    step = _step(max(abs(low), abs(high), 0.01))
    least, most = min(0.0, low) - step / 2, max(0.0, high) + step / 2
    words = (
        f"Gain in {verdict.metric}: {gain:+.3f}, between {low:+.3f} and {high:+.3f}; "
        "it must lie above zero."
    )
    ticks = [n * step for n in range(math.floor(least / step), math.ceil(most / step) + 1)]
    return _axis(
        words,
        least,
        most,
        [(t, _signed(t, step)) for t in ticks if least <= t <= most],
        span=(low, high),
        point=gain,
        point_text=f"{gain:+.3f}",
        bounds=[(0.0, "no gain")],
        good=verdict.promoted,
    )


def _first(verdict: GateVerdict) -> Markup:
    value, low = verdict.after or 0.0, verdict.low
    bounds = [(verdict.needed, "needed")] if verdict.needed is not None else []
    if verdict.needed_low is not None:
        bounds.append((verdict.needed_low, "lower end needed"))
    words = f"{verdict.metric} is {value:.3f}" + (f", surely above {low:.3f}" if low else "")
    words += "".join(f"; {text}: {bound:.2f}" for bound, text in bounds) + "."
    return _axis(
        words,
        0.0,
        1.0,
        [(n / 5, f"{n / 5:.1f}") for n in range(6)],
        span=(low, value) if low is not None else None,
        point=value,
        point_text=f"{value:.3f}",
        bounds=bounds,
        good=verdict.promoted,
    )


def _axis(
    words: str,
    least: float,
    most: float,
    ticks: list[tuple[float, str]],
    *,
    span: tuple[float, float] | None,
    point: float,
    point_text: str,
    bounds: list[tuple[float, str]],
    good: bool,
) -> Markup:
    def x(value: float) -> float:
        return _LEFT + (value - least) / ((most - least) or 1.0) * (_WIDTH - _LEFT - _RIGHT)

    parts = [tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=_AXIS, y2=_AXIS, class_="axis")]
    for value, text in ticks:
        parts += [
            tag("line", x1=x(value), x2=x(value), y1=_AXIS, y2=_AXIS + 5, class_="axis"),
            tag("text", text, x=x(value), y=_AXIS + 20, class_="tick", text_anchor="middle"),
        ]
    for row, (value, text) in enumerate(bounds):
        anchor = "start" if x(value) < _WIDTH * 0.7 else "end"
        parts += [
            tag("line", x1=x(value), x2=x(value), y1=22.0, y2=_AXIS + 8, class_="bound"),
            tag(
                "text",
                text,
                x=x(value),
                y=_AXIS + 36 + 15 * row,
                class_="bound-text",
                text_anchor=anchor,
            ),
        ]
    mood = "good" if good else "bad"
    if span is not None:
        left, right = x(span[0]), x(span[1])
        parts.append(
            tag(
                "rect",
                x=left,
                y=_AXIS - 16,
                width=max(2.0, right - left),
                height=12.0,
                rx=6,
                class_=f"span {mood}",
            )
        )
    parts += [
        tag("circle", cx=x(point), cy=_AXIS - 10, r=7, class_=f"point {mood}"),
        tag("text", point_text, x=x(point), y=_AXIS - 26, class_="value", text_anchor="middle"),
    ]
    return picture(_WIDTH, _HEIGHT, words, *parts, class_="interval")


def _step(reach: float) -> float:
    """Return a round distance of ticks: about four to the reach."""
    rough = reach / 3
    power = 10.0 ** math.floor(math.log10(rough))
    return float(next(power * n for n in (1, 2, 5, 10) if power * n >= rough))


def _signed(value: float, step: float) -> str:
    return "0" if abs(value) < step / 2 else f"{value:+.2f}" if step >= 0.01 else f"{value:+.3f}"
