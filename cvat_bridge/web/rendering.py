"""Templates: values become HTML, escaped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cvat_bridge.blindspots.types import Box, Confusion
from cvat_bridge.web.access.sessions import Session
from cvat_bridge.web.charts import bars, curve, interval, lines, seconds
from cvat_bridge.web.page import Page

STATIC = files("cvat_bridge.web") / "static"


@cache
def _environment() -> Environment:
    env = Environment(
        loader=PackageLoader("cvat_bridge.web"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "code": code,
        "when": when,
        "short": short,
        "share": share,
        "figure": figure,
        "n": number,
    }
    env.globals |= {
        "interval": interval.interval,
        "learning_curve": curve.learning_curve,
        "stacked": bars.stacked,
        "share_bar": bars.share,
        "versus": seconds.versus,
        "seconds_over_time": seconds.seconds_over_time,
        "worth_curve": seconds.worth_curve,
        "line_chart": lines.line,
        "query": query,
        "address": address,
        "both": both,
        "worst": worst,
        "heat": heat,
    }
    return env


@cache
def static_version() -> str:
    """Name the files of today, so that a browser never keeps those of yesterday."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.iterdir(), key=lambda one: one.name):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:10]


def render(
    page: Page,
    request: Request,
    template: str,
    *,
    session: Session | None = None,
    status: int = 200,
    **values: Any,
) -> Response:
    """Return a whole page or a part of one. session: of who is signed in."""
    whole = not template.startswith("part_")
    text = (
        _environment()
        .get_template(template)
        .render(
            at=page.at,
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            version=static_version(),
            person=session.person if session else None,
            csrf=session.token if session else "",
            notice=page.notices.pop(session.secret, "") if session and whole else "",
            htmx_config=json.dumps({"includeIndicatorCSS": False, "history": True}),
            **values,
        )
    )
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


def when(value: str) -> Markup:
    """Write a time of ISO 8601; the page's script puts it into the reader's zone."""
    if not value:
        return Markup("")
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(timezone.utc)
    except ValueError:
        return Markup("{}").format(value)
    return Markup('<time datetime="{}">{} UTC</time>').format(
        moment.isoformat(timespec="seconds"), moment.strftime("%Y-%m-%d %H:%M")
    )


def code(text: str) -> Markup:
    """Write a sentence; what stands in backticks is a command or a key."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one without its other
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part)
        for n, part in enumerate(parts)
    )


def short(version: str | None) -> str:
    """Name a version as people can read it out."""
    return (version or "")[:8]


def share(value: float | None, places: int = 0) -> str:
    """Write a share in percent, "-" where there is none."""
    return "-" if value is None else f"{100 * value:.{places}f} %"


def figure(value: float | None, places: int = 3) -> str:
    """Write a figure 0..1, "-" where there is none."""
    return "-" if value is None else f"{value:.{places}f}"


def number(value: float | None) -> str:
    """Write a count with thin spaces between thousands, "-" where there is none."""
    return "-" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def query(values: Mapping[str, Any], **changes: Any) -> str:
    """Return the part of an address after "?"; what is None or "" is left out."""
    kept = {k: v for k, v in {**values, **changes}.items() if v is not None and v != ""}
    return f"?{urlencode(kept)}" if kept else "?"


def address(values: Mapping[str, Any], **changes: Any) -> str:
    """Return the part of an address after "?"; an empty text is a value, None is left out."""
    return f"?{urlencode({k: v for k, v in {**values, **changes}.items() if v is not None})}"


def both(first: Box | None, second: Box | None) -> Box | None:
    """Return the box around both, None where there is neither."""
    there = [box for box in (first, second) if box is not None]
    if not there:
        return None
    low = [min(box[i] for box in there) for i in (0, 1)]
    high = [max(box[i] for box in there) for i in (2, 3)]
    return low[0], low[1], high[0], high[1]


def worst(confusion: Confusion, most: int = 40) -> list[int]:
    """Return the rows of a matrix to show: all, or those with the most errors; "nothing" last."""
    last = len(confusion.names) - 1
    rows = list(range(last))
    if len(rows) > most:
        counts = confusion.counts
        wrong = [sum(counts[i]) + sum(row[i] for row in counts) - 2 * counts[i][i] for i in rows]
        rows = sorted(sorted(rows, key=lambda i: -wrong[i])[:most])
    return [*rows, last]


def heat(count: int, whole: int) -> int:
    """Return how strongly a cell is coloured, 0 to 5."""
    return 0 if not count else min(5, 1 + int(4 * count / max(whole, 1) + 0.5))
