"""Check that two evaluations cover the same frames."""

from __future__ import annotations

from trainer.errors import ComparisonError
from trainer.scores import Evaluation


def check_comparable(champion: Evaluation, challenger: Evaluation) -> None:
    """Raise ComparisonError naming every difference in labels, task, split, frames and snapshot."""
    pairs = [(n, getattr(champion, n), getattr(challenger, n)) for n in ("labels", "task", "split")]
    differences = [f"{n} differ: {a} and {b}" for n, a, b in pairs if a != b]
    ours = {f.file_name: f.objects.tolist() for f in champion.frames}
    theirs = {f.file_name: f.objects.tolist() for f in challenger.frames}
    if [*ours] != [*theirs]:
        alone = sorted(set(ours) ^ set(theirs))
        differences.append(
            f"frames differ: {len(ours)} and {len(theirs)}, "
            f"{len(alone)} in one alone{': ' + ', '.join(alone[:3]) if alone else ' (the order)'}"
        )
    elif champion.dataset != challenger.dataset or ours != theirs:
        differences.append(
            f"datasets differ: {champion.dataset[:12]} and {challenger.dataset[:12]}; "
            "evaluate both on the same snapshot"
        )
    if differences:
        raise ComparisonError(differences)
