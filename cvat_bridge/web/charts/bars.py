"""Bars: shares of a whole side by side."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from cvat_bridge.web.charts.svg import picture, tag

_WIDTH, _HEIGHT = 400.0, 20.0


def stacked(parts: Sequence[tuple[str, float]], whole: float, title: str) -> Markup:
    """Draw one bar. parts: class of the style sheet → amount; whole: what the width stands for."""
    left, found = 0.0, []
    for name, amount in parts:
        width = amount / whole * _WIDTH if whole > 0 else 0.0
        if width > 0:
            found.append(
                tag("rect", x=left, y=0, width=width, height=_HEIGHT, class_=f"part {name}")
            )
        left += width
    return picture(_WIDTH, _HEIGHT, title, *found, class_="stacked")


def share(
    low: float, value: float | None, high: float, title: str, rest: float | None = None
) -> Markup:
    """Draw a share 0..1 as a bar with its interval, and a mark at what it is compared with."""
    width, height = 160.0, 16.0
    found = [tag("rect", x=0, y=5, width=width, height=6, rx=3, class_="track")]
    if value is not None:
        found.append(
            tag("rect", x=0, y=5, width=value * width, height=6, rx=3, class_="part value")
        )
        found.append(tag("line", x1=low * width, x2=high * width, y1=8, y2=8, class_="whisker"))
    if rest is not None:
        found.append(tag("line", x1=rest * width, x2=rest * width, y1=0, y2=height, class_="rest"))
    return picture(width, height, title, *found, class_="share")
