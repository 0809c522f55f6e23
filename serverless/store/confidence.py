"""The attribute `confidence` of a label in CVAT, and how to write a score into it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NAME = "confidence"  # a label's attribute of this name shows the score to annotators


@dataclass(frozen=True)
class ConfidenceForm:
    """The attribute as defined in CVAT: text, number, select, radio or checkbox.

    values: lowest, highest and step of a number, the choices of a select or radio.
    """

    input_type: str = "text"
    values: tuple[str, ...] = ()

    def write(self, score: float) -> str | None:
        """Format a score in 0..1 as the attribute's value; None if its type cannot represent one.

        A number maps 0..1 to the range from its lowest to its highest value, except when it holds
        shares (highest value 1), rounded to its steps. For a list of numbers the nearest is used.
        """
        if self.input_type == "text":
            return f"{score:.2f}"
        try:
            numbers = [float(value) for value in self.values]
        except ValueError:
            return None
        if self.input_type == "number" and len(numbers) == 3:
            low, high, step = numbers
            scaled = score if high <= 1 else low + score * (high - low)
            value = low + round((scaled - low) / step) * step if step > 0 else scaled
            return f"{min(high, max(low, value)):.10g}"
        if self.input_type in {"select", "radio"} and numbers:
            top = max(numbers)
            scaled = score if top <= 1 else score * top
            return min(self.values, key=lambda value: abs(float(value) - scaled))
        return None

    @property
    def passes_functions(self) -> bool:
        """Return whether CVAT lets a function fill it.

        CVAT parses a number's limits as integers and fails the whole call on others, so such an
        attribute must not be declared.
        """
        if self.input_type == "number":
            return len(self.values) == 3 and all(_is_whole(value) for value in self.values)
        return self.write(0.5) is not None

    def spec(self) -> dict[str, Any]:
        """Return the attribute for a function's declaration."""
        return {"name": NAME, "input_type": self.input_type, "values": list(self.values)}


def _is_whole(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit()
