"""Which holdout frames can judge a model: those that it did not learn from, known by content.

A round's own snapshot keeps its two sides apart. A champion may come from elsewhere (`train` and
`promote`, another project, a model brought with its snapshot), and has then learnt from frames
that a later holdout holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.bundles.bundle import Bundle, read_bundle
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.leakage import find_leaks
from trainer.errors import TrainerError
from trainer.runs.provenance import source_of


@dataclass(frozen=True)
class UnseenHoldout:
    """dataset: without the holdout frames that the model learnt from.

    left_out: names of those. held: holdout frames before. unknown: fingerprints of snapshots that
    it learnt from and that are not here any more, so that nothing is known of their frames.
    """

    dataset: Dataset
    left_out: tuple[str, ...]
    held: int
    unknown: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """The finding in sentences, none when all is clean."""
        lines = []
        if self.left_out:
            lines.append(
                f"The champion learnt from {len(self.left_out)} of the {self.held} holdout frames;"
                f" they are left out, and {self.held - len(self.left_out)} judge both models."
            )
        if self.unknown:
            lines.append(
                "The champion learnt from a snapshot that is not here any more "
                f"({', '.join(one[:12] for one in self.unknown)}), so nobody can say whether it "
                "was judged on frames that it learnt from."
            )
        return tuple(lines)


def unseen_part(data: Dataset, model: Path, *, known: Mapping[str, str]) -> UnseenHoldout:
    """Leave out of the holdout what a model learnt from, or began with, or nearly that.

    data: a snapshot in the folder of snapshots. model: folder of its bundle. known: file name →
    difference hash. Raises TrainerError for a bundle that cannot be read.
    """
    held = data.split("holdout")
    names = {one.file_name for one in held}
    leaking: set[str] = set()
    unknown: list[str] = []
    for fingerprint in _learnt_from(read_bundle(model, verify=False)):
        if fingerprint == data.path.name:
            continue
        try:
            trained_on = load_dataset(data.path.parent / fingerprint)
            shared = {i.file_name for i in trained_on.images if i.split in ("train", "val")}
            same = source_of(trained_on).get("project") == source_of(data).get("project")
            found = find_leaks(data, known=known, other=trained_on, by_group=same)
        except TrainerError:
            unknown.append(fingerprint)
            continue
        leaking |= names & shared  # named by content
        leaking |= {leak.evaluated for leak in found.leaks}
    kept = tuple(i for i in data.images if i.file_name not in leaking or i.split != "holdout")
    whole = data if not leaking else replace(data, images=kept, origin=data.path.name)
    return UnseenHoldout(whole, tuple(sorted(leaking)), len(held), tuple(unknown))


def _learnt_from(bundle: Bundle) -> Iterator[str]:
    """Yield the fingerprints of what a model and those that it began with learnt from."""
    seen: set[str] = set()
    while True:
        seen.add(bundle.version)
        origin = bundle.card.provenance
        if isinstance(fingerprint := origin.get("dataset"), str):
            yield fingerprint
        base = origin.get("base")
        version = base.get("version") if isinstance(base, Mapping) else None
        before = bundle.path.parent / str(version)
        if not version or version in seen or not before.is_dir():
            return
        bundle = read_bundle(before, verify=False)
