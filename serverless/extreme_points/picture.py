"""The animation of the four clicks that CVAT shows next to the tool's help.

python -m serverless.extreme_points.picture     writes it into function.yaml
"""

from __future__ import annotations

import base64
import math
import re
from pathlib import Path

SECONDS = 6
# Left, top, right, bottom of the drawn leaf, and the time of each click, as a share of the loop.
_CLICKS = ((24.0, 66.0, 0.08), (70.0, 18.0, 0.23), (136.0, 52.0, 0.38), (92.0, 102.0, 0.53))
_SHOWN = 0.66  # when the outline appears


def svg() -> str:
    """Return the animation: a shape, four clicks one after the other, and the resulting outline."""
    outline = _leaf()
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 120" width="320" height="240">',
        '<rect width="160" height="120" fill="#f4f4f2"/>',
        f'<path d="{outline}" fill="#9db8a0"/>',
        f'<path d="{outline}" fill="#1890ff66" stroke="#1890ff" stroke-width="2" opacity="0">',
        f"{_appears(_SHOWN)}</path>",
    ]
    parts += [
        f'<circle cx="{x:g}" cy="{y:g}" r="3.5" fill="#fff" stroke="#d4380d" stroke-width="2" '
        f'opacity="0">{_appears(when)}</circle>'
        for x, y, when in _CLICKS
    ]
    return "".join([*parts, "</svg>"])


def data_uri() -> str:
    """Return the picture as a data URI."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg().encode()).decode()


def main() -> None:
    """Write the picture into function.yaml."""
    path = Path(__file__).with_name("function.yaml")
    text = path.read_text(encoding="utf-8")
    line = f'    animated_gif: "{data_uri()}"'
    path.write_text(re.sub(r"(?m)^    animated_gif: .*$", lambda _: line, text), encoding="utf-8")


def _leaf() -> str:
    """Return a smooth closed path through the four clicks."""
    points = [(x, y) for x, y, _ in _CLICKS]
    path = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for place, (x, y) in enumerate(points):
        to_x, to_y = points[(place + 1) % len(points)]
        # Tangents are parallel to the box at its extreme points: nothing lies beyond them.
        along = math.copysign(0.55, to_x - x), math.copysign(0.55, to_y - y)
        width, height = abs(to_x - x), abs(to_y - y)
        if place % 2 == 0:
            first, second = (x, y + along[1] * height), (to_x - along[0] * width, to_y)
        else:
            first, second = (x + along[0] * width, y), (to_x, to_y - along[1] * height)
        numbers = (*first, *second, to_x, to_y)
        path.append("C" + " ".join(f"{n:.4g}" for n in numbers))
    return "".join([*path, "Z"])


def _appears(when: float) -> str:
    return (
        f'<animate attributeName="opacity" values="0;0;1;1" keyTimes="0;{when:g};'
        f'{min(1.0, when + 0.04):g};1" dur="{SECONDS}s" repeatCount="indefinite"/>'
    )


if __name__ == "__main__":
    main()
