"""Transfer a network's weights to another label set: classes by name, the rest by shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainer.data.labels import LabelMap

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class HeadRows:
    """The layout of the first axis of a head's tensor.

    The layout is (outer, background + classes + after, inner). outer: anchors, each with all
    classes. background, after: rows before the first class and after the last, copied unchanged.
    inner: values per class, such as the four of a box.
    """

    outer: int = 1
    background: int = 0
    inner: int = 1
    after: int = 0


def carry_weights(
    own: Mapping[str, Tensor],
    base: Mapping[str, Tensor],
    *,
    labels: LabelMap,
    known: LabelMap,
    heads: Mapping[str, HeadRows],
) -> tuple[dict[str, Tensor], list[str]]:
    """Return own weights with all of base that fits, and a sentence for each part that does not.

    own: state of the network for `labels`; base: of one for `known`. heads: the tensors that have
    rows per class, by name. Classes are matched by name, regardless of their order, so a renamed
    class counts as new and is reported. No input tensor is modified.
    """
    both = [(labels.id_of(name), known.id_of(name)) for name in labels if name in known.names]
    made: dict[str, Tensor] = {}
    notes: list[str] = []
    for name, value in own.items():
        found, rows = base.get(name), heads.get(name)
        merged = None
        if found is not None and rows is not None:
            merged = _merged(value, found, rows, both, (len(labels), len(known)))
        elif found is not None and found.shape == value.shape:
            merged = found.to(value.dtype)
        # Networks with frozen normalisation have no batch counters.
        if merged is None and not (found is None and name.endswith("num_batches_tracked")):
            had = "nothing" if found is None else tuple(found.shape)
            notes.append(
                f"{name}: initialised at random, base has {had}, this network {tuple(value.shape)}"
            )
        made[name] = value.clone() if merged is None else merged.clone()
    notes += [
        f"class {name}: new, initialised at random" for name in labels if name not in known.names
    ]
    notes += [
        f"class {name}: in the base, not among the labels"
        for name in known
        if name not in labels.names
    ]
    return made, notes


def _merged(
    value: Tensor,
    found: Tensor,
    rows: HeadRows,
    both: list[tuple[int, int]],
    counts: tuple[int, int],
) -> Tensor | None:
    """Return value with the rows of found, or None when either does not have that layout."""
    rest = tuple(value.shape[1:])
    around = rows.background + rows.after
    shapes = [(rows.outer, around + count, rows.inner, *rest) for count in counts]
    sizes = [shape[0] * shape[1] * shape[2] for shape in shapes]
    if (value.shape[0], found.shape[0]) != tuple(sizes) or tuple(found.shape[1:]) != rest:
        return None
    mine = value.clone().reshape(shapes[0])
    theirs = found.to(value.dtype).reshape(shapes[1])
    mine[:, : rows.background] = theirs[:, : rows.background]
    if rows.after:
        mine[:, -rows.after :] = theirs[:, -rows.after :]
    for here, there in both:
        mine[:, rows.background + here] = theirs[:, rows.background + there]
    return mine.reshape(value.shape)
