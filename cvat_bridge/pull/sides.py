"""On which side of the holdout each pulled image stands."""

from __future__ import annotations

from collections.abc import Mapping

from cvat_bridge.frames.holdout import LabelledImage, assign
from cvat_bridge.frames.origins import origins, video_part
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Role
from cvat_bridge.project.facts import Facts
from cvat_bridge.pull.labelled_frames import LabelledFrame, Skipped
from cvat_bridge.settings import RoundSettings


def freeze_sides(
    ledger: Ledger,
    facts: Facts,
    chosen: Mapping[str, LabelledFrame],
    groups: Mapping[str, str],
    settings: RoundSettings,
    since: str,
) -> None:
    """Give every image that has none its side, for good; see holdout.assign."""
    origin, picked = origins(ledger.provenance()), ledger.frames_by_strategy()
    images = [
        LabelledImage(
            sha256,
            frame.image.perceptual,
            video_part(
                frame.image.key,
                media=facts.media,
                origin=origin,
                segment=settings.video_segment,
            ),
            held_out=frame.job.held_out,
            chosen=frame.image.key in picked,
        )
        for sha256, frame in chosen.items()
    ]
    ledger.add_memberships(
        assign(
            images,
            groups=groups,
            known=ledger.memberships(),
            share=settings.holdout_share if facts.holdout_rule == "share" else 0.0,
            salt=settings.holdout_salt,
            since=since,
        )
    )


def sides_of(
    ledger: Ledger, chosen: Mapping[str, LabelledFrame], groups: Mapping[str, str]
) -> tuple[dict[str, Role], list[Skipped]]:
    """Return the split of each image; one trained on before its group was held out is left out."""
    members = ledger.memberships()
    held = {groups[sha] for sha, row in members.items() if row.role == "holdout" and sha in groups}
    sides: dict[str, Role] = {}
    skipped: list[Skipped] = []
    for sha256, frame in chosen.items():
        if members[sha256].role == "train" and groups[sha256] in held:
            skipped.append(Skipped(frame.image.key, "nearly the same as an image of the holdout"))
        else:
            sides[sha256] = members[sha256].role
    return sides, skipped
