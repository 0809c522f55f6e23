"""Seconds of people as pictures: with pre-annotation against without, and over the rounds."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cvat_bridge.savings.comparing import Compared, Rate
from cvat_bridge.savings.query import RoundRate
from cvat_bridge.web.charts.svg import picture, tag

_WIDTH, _LEFT, _RIGHT = 560.0, 90.0, 80.0


def versus(compared: Compared, unit: str) -> Markup:
    """Draw two bars with their intervals. unit: "object" or "frame"."""
    rows = [("with", compared.with_it), ("without", compared.without)]
    most = max(one.seconds.high or one.seconds.value for _, one in rows) or 1.0
    parts = []
    for place, (name, rate) in enumerate(rows):
        parts += _bar(name, rate, 14.0 + 44 * place, most, "good" if place == 0 else "plain")
    words = "; ".join(f"{name}: {rate.seconds.value:.1f} s for each {unit}" for name, rate in rows)
    return picture(_WIDTH, 100.0, words, *parts, class_="versus")


def _bar(name: str, rate: Rate, top: float, most: float, mood: str) -> list[Markup]:
    def x(seconds: float) -> float:
        return _LEFT + min(1.0, seconds / most) * (_WIDTH - _LEFT - _RIGHT)

    value = rate.seconds
    parts = [
        tag("text", name, x=_LEFT - 10, y=top + 19, class_="tick", text_anchor="end"),
        tag(
            "rect",
            x=_LEFT,
            y=top,
            width=max(1.0, x(value.value) - _LEFT),
            height=28.0,
            rx=4,
            class_=f"bar {mood}",
        ),
    ]
    if value.low is not None and value.high is not None:
        middle = top + 14
        parts.append(
            tag("line", x1=x(value.low), x2=x(value.high), y1=middle, y2=middle, class_="whisker")
        )
    end = x(value.high if value.high is not None else value.value)
    parts.append(tag("text", f"{value.value:.1f} s", x=end + 8, y=top + 20, class_="value"))
    return parts


def seconds_over_time(rows: Sequence[RoundRate]) -> Markup:
    """Draw the seconds of an object by round, both arms; "" with fewer than two rounds."""
    width, height, left, bottom, top = 560.0, 230.0, 46.0, 44.0, 14.0
    timed = [row for row in rows if row.with_it is not None or row.without is not None]
    if len(timed) < 2:
        return Markup("")
    most = 1.1 * max(v for row in timed for v in (row.with_it, row.without) if v is not None)
    first, last = timed[0].round, timed[-1].round

    def x(number: int) -> float:
        return left + (number - first) / (last - first) * (width - left - 20)

    def y(seconds: float) -> float:
        return height - bottom - seconds / most * (height - bottom - top)

    parts = []
    for n in range(5):
        value = most * n / 4
        parts += [
            tag("line", x1=left, x2=width - 20, y1=y(value), y2=y(value), class_="grid"),
            tag("text", f"{value:.0f} s", x=left - 8, y=y(value) + 4, text_anchor="end"),
        ]
    for row in timed[:: max(1, len(timed) // 12)]:
        at = height - bottom + 18
        parts.append(tag("text", f"{row.round}", x=x(row.round), y=at, text_anchor="middle"))
    parts.append(tag("text", "round", x=width / 2, y=height - 6, text_anchor="middle"))
    for name, mood in (("without", "plain"), ("with_it", "good")):
        points = [(row, v) for row in timed if (v := getattr(row, name)) is not None]
        line = " ".join(f"{x(row.round):.1f},{y(v):.1f}" for row, v in points)
        parts.append(tag("polyline", points=line, class_=f"line {mood}"))
        for row, v in points:
            told = tag("title", f"round {row.round}: {v:.1f} s, {row.jobs} jobs")
            parts.append(tag("circle", told, cx=x(row.round), cy=y(v), r=4, class_=f"bar {mood}"))
    words = (
        f"Seconds of an object from round {first} to round {last}, with pre-annotation and without"
    )
    return picture(width, height, words, *parts, class_="seconds")


def worth_curve(points: Sequence[tuple[float, float]], now: float | None, score: float) -> Markup:
    """Draw what showing an object saves by its score, with the thresholds in use and proposed."""
    width, height, left, right = 260.0, 74.0, 4.0, 4.0
    reach = max((abs(s) for _, s in points), default=1.0) or 1.0

    def x(value: float) -> float:
        return left + value * (width - left - right)

    def y(seconds: float) -> float:
        return 30.0 - seconds / reach * 26.0

    line = " ".join(f"{x(a):.1f},{y(s):.1f}" for a, s in points)
    parts = [
        tag("line", x1=left, x2=width - right, y1=y(0), y2=y(0), class_="axis"),
        tag("polyline", points=line, class_="line"),
        tag("line", x1=x(score), x2=x(score), y1=2, y2=58, class_="proposed"),
    ]
    if now is not None:
        parts.append(tag("line", x1=x(now), x2=x(now), y1=2, y2=58, class_="bound"))
    for value in (0.0, 0.5, 1.0):
        anchor = "start" if value == 0 else "end" if value == 1 else "middle"
        parts.append(tag("text", f"{value:g}", x=x(value), y=72, text_anchor=anchor))
    words = f"What showing an object saves, by its score; it saves time from {score:.2f} on"
    return picture(width, height, words, *parts, class_="worth")
