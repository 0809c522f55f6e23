"""What pre-annotation saves: a person's seconds with the proposals and without. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainer.calibration.learn import FINE_IOU
from trainer.calibration.worth import ShapeSeconds
from trainer.scores import FrameMatches


def expected_seconds(
    frames: Sequence[FrameMatches],
    labels: Sequence[str],
    shown: Mapping[str, float],
    seconds: Mapping[str, ShapeSeconds],
) -> tuple[float, float]:
    """Return the seconds of all frames with the proposals, and without any.

    frames: answers held against the truth. labels: names of its classes. shown: label → score
    from which an answer is proposed; what is not named is never. seconds: of each label's shape.
    With: each proposal is looked at; one right at IoU 0.8 stays, one right at IoU 0.5 is mended,
    a wrong one is removed; an object without a right proposal is drawn. Without: all are drawn.
    """
    with_proposals = without = 0.0
    for frame in frames:
        for class_id, name in enumerate(labels):
            each, objects = seconds[name], int(frame.objects[class_id])
            own = (frame.class_ids == class_id) & ~frame.ignored[:, 0]
            own &= frame.scores >= shown.get(name, np.inf)
            right = int(frame.matched[own, 0].sum())
            fine = int((frame.matched[own, 0] & frame.matched[own, FINE_IOU]).sum())
            wrong = int(own.sum()) - right
            with_proposals += (
                int(own.sum()) * each.verify
                + (right - fine) * each.fix
                + wrong * each.delete
                + (objects - right) * each.draw
            )
            without += objects * each.draw
    return with_proposals, without
