"""A figure over the time of a training, as a line."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cvat_bridge.web.charts.svg import picture, tag

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 360.0, 150.0, 52.0, 10.0, 12.0, 14.0


def line(points: Sequence[tuple[float, float]], title: str, places: int = 3) -> Markup:
    """Draw (x, value) points, x rising, from nothing to the largest value; "" without a point."""
    if not points:
        return Markup("")
    top = max(value for _, value in points) or 1.0
    low, high = points[0][0], points[-1][0]

    def x(at: float) -> float:
        share = (at - low) / (high - low) if high > low else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - max(value, 0.0) / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for share in (0.0, 0.5, 1.0):
        height = y(top * share)
        parts += [
            tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=height, y2=height, class_="grid"),
            tag(
                "text",
                f"{top * share:.{places}f}" if top >= 10**-places else f"{top * share:.0e}",
                x=_LEFT - 6,
                y=height + 4,
                class_="tick",
                text_anchor="end",
            ),
        ]
    drawn = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
    parts.append(tag("polyline", points=drawn, class_="line"))
    last = points[-1]
    parts.append(tag("circle", cx=x(last[0]), cy=y(last[1]), r=4, class_="point good"))
    return picture(_WIDTH, _HEIGHT, title, *parts, class_="progressing")
