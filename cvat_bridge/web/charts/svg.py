"""SVG by hand: a few elements, escaped; colours come from the page's style sheet by class."""

from __future__ import annotations

from markupsafe import Markup


def tag(name: str, content: str | Markup = "", **attributes: object) -> Markup:
    """Return an element; `_` in a name is a hyphen, "class_" is class."""
    written = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _number(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, written, content)


def picture(width: float, height: float, title: str, *parts: Markup, class_: str = "") -> Markup:
    """Return a whole picture that scales with its column. title: what a screen reader says."""
    return tag(
        "svg",
        Markup("").join(parts),
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=title,
        class_=f"chart {class_}".strip(),
    )


def _number(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
