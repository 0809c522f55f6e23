"""Which images judge models: frozen by content, in whole groups, growing only by rule."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvat_bridge.ledger.records import Membership, Role
from trainer.data.fingerprints import near_duplicate_groups


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """A labelled image, as far as the holdout cares.

    video: name of the video part it was taken from, or "". perceptual: its difference hash.
    held_out: people made it holdout (a ground-truth job, a subset). chosen: a strategy picked it,
    so that a holdout of such frames would be harder than the data are.
    """

    sha256: str
    perceptual: str
    video: str = ""
    held_out: bool = False
    chosen: bool = False


def groups_of(images: Sequence[LabelledImage], *, within: int) -> dict[str, str]:
    """Return, by the sha256 of each image, the group that is never split.

    Frames of a video go by their part of it; they resemble their neighbours beyond its borders,
    so likeness is asked of the other images only.
    """
    still = {image.sha256: image.perceptual for image in images if not image.video}
    return near_duplicate_groups(still, within=within) | {
        i.sha256: i.video for i in images if i.video
    }


def assign(
    images: Sequence[LabelledImage],
    *,
    groups: Mapping[str, str],
    known: Mapping[str, Membership],
    share: float,
    salt: str,
    since: str,
) -> tuple[Membership, ...]:
    """Return the side of every image that has none yet, or that people moved to the holdout.

    An image follows its group: holdout where one of it is, else train where one of it is. Whole
    new groups that no strategy picked go to the holdout in the order of their salted hash until
    it has its share of all labelled images; a group that overshoots the share by more than it
    falls short is passed over, and something is always left to train on. share 0: only what
    people held out.
    """
    members: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in images:
        members[groups[image.sha256]].append(image)

    decided: dict[str, tuple[Role, str]] = {}
    for group, of_group in members.items():
        roles = {known[i.sha256].role for i in of_group if i.sha256 in known}
        if any(i.held_out for i in of_group) or "holdout" in roles:
            decided[group] = ("holdout", "goes with its group")
        elif roles:
            decided[group] = ("train", "goes with its group")

    held = sum(len(members[group]) for group, (role, _) in decided.items() if role == "holdout")
    target = math.ceil(share * len(images))
    open_groups = sorted(
        (group for group in members if group not in decided),
        key=lambda group: hashlib.sha256(f"{salt}/{group}".encode()).digest(),
    )
    trains = any(role == "train" for role, _ in decided.values())
    for place, group in enumerate(open_groups):
        size, last = len(members[group]), place == len(open_groups) - 1
        fits = share > 0 and held + size / 2 <= target
        picked = any(image.chosen for image in members[group])
        if fits and not picked and (trains or not last):
            decided[group] = ("holdout", "share by hash")
            held += size
        else:
            decided[group], trains = ("train", "beyond the share"), True

    return tuple(
        _membership(image, group, decided[group], since)
        for group, of_group in sorted(members.items())
        for image in sorted(of_group, key=lambda one: one.sha256)
        if image.sha256 not in known or (image.held_out and known[image.sha256].role != "holdout")
    )


def _membership(
    image: LabelledImage, group: str, decision: tuple[Role, str], since: str
) -> Membership:
    if image.held_out:
        return Membership(image.sha256, "holdout", group, "held out by people", since)
    role, rule = decision
    return Membership(image.sha256, role, group, rule, since)
