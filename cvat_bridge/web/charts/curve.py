"""The learning curve: AP over labelled frames, a point a round, and what more labels promise."""

from __future__ import annotations

import math

from markupsafe import Markup

from cvat_bridge.web.charts.svg import picture, tag
from cvat_bridge.web.screens.history import Curve

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 560.0, 260.0, 46.0, 20.0, 18.0, 44.0


def learning_curve(curve: Curve) -> Markup:
    """Draw the curve; "" without a point."""
    points = curve.points
    if not points:
        return Markup("")
    known = [p.ap for p in points] + ([curve.expected] if curve.expected is not None else [])
    step = 0.05 if max(known) <= 0.18 else 0.1 if max(known) <= 0.45 else 0.2
    top = min(1.0, math.ceil(max(known) * 1.04 / step) * step)
    most = max(*(p.frames for p in points), curve.next_frames or 0) * 1.05

    def x(frames: float) -> float:
        return _LEFT + frames / most * (_WIDTH - _LEFT - _RIGHT)

    def y(ap: float) -> float:
        return _HEIGHT - _BOTTOM - ap / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for n in range(round(top / step) + 1):
        value = step * n
        parts += [
            tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y(value), y2=y(value), class_="grid"),
            tag(
                "text",
                f"{value:.2f}",
                x=_LEFT - 8,
                y=y(value) + 4,
                class_="tick",
                text_anchor="end",
            ),
        ]
    for frames in _ticks(most):
        parts.append(
            tag(
                "text",
                f"{frames}",
                x=x(frames),
                y=_HEIGHT - _BOTTOM + 18,
                class_="tick",
                text_anchor="middle",
            )
        )
    parts.append(
        tag(
            "text",
            "labelled frames learnt from",
            x=(_LEFT + _WIDTH - _RIGHT) / 2,
            y=_HEIGHT - 6,
            class_="tick",
            text_anchor="middle",
        )
    )
    line = " ".join(f"{x(p.frames):.1f},{y(p.ap):.1f}" for p in points)
    parts.append(tag("polyline", points=line, class_="line"))
    if curve.expected is not None and curve.next_frames is not None:
        last = max(points, key=lambda p: p.frames)
        end = x(curve.next_frames), y(curve.expected)
        parts += [
            tag("line", x1=x(last.frames), y1=y(last.ap), x2=end[0], y2=end[1], class_="expected"),
            tag("circle", cx=end[0], cy=end[1], r=5, class_="expected"),
            tag(
                "text",
                f"{curve.expected:.2f} expected",
                x=end[0],
                y=end[1] - 12,
                class_="tick",
                text_anchor="end",
            ),
        ]
    for p in points:
        parts.append(
            tag(
                "circle",
                tag("title", f"round {p.round}: {p.frames} frames, AP {p.ap:.3f}"),
                cx=x(p.frames),
                cy=y(p.ap),
                r=6,
                class_="point good" if p.promoted else "point weak",
            )
        )
    first, last = points[0], points[-1]
    words = (
        f"Learning curve: AP {first.ap:.3f} with {first.frames} labelled frames, "
        f"{last.ap:.3f} with {last.frames}."
    )
    return picture(_WIDTH, _HEIGHT, words, *parts, class_="curve")


def _ticks(most: float) -> list[int]:
    rough = most / 5
    power = 10 ** math.floor(math.log10(max(rough, 1)))
    step = next(power * n for n in (1, 2, 5, 10) if power * n >= rough)
    return list(range(0, int(most) + 1, int(step)))
