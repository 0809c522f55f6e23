"""From which probability an answer is worth a person's look: where it saves more than it costs.

A shape that is put before a person is looked at (verify); one that is right has to be mended now
and then (fix), a wrong one removed (delete) and saves nothing, since what is really there still
has to be drawn. Without it, what is really there is drawn. With probability p of being right and
a share f of the right ones that is mended:

    with the shape      verify + p · f · fix + (1 - p) · delete
    without it          p · draw

so a shape is worth its place from p = (verify + delete) / (draw + delete - f · fix).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from trainer.calibration.score_map import ScoreMap, ScoreMaps
from trainer.errors import ConfigError

# Scores are measured from here on (LEAST_SCORE of trainer.calibration.measure), so what they say
# below it is not known to be true.
LEAST = 0.1
FIXED_SHARE = 0.5  # of the right ones, before anything is known
_PRIOR_DETECTIONS = 10.0  # answers that FIXED_SHARE weighs


@dataclass(frozen=True)
class ShapeSeconds:
    """Seconds of a person for one shape. Raises ConfigError for what cannot be.

    draw: a new one. verify: to see that one is right. fix: to mend one. delete: to remove one.
    """

    draw: float
    verify: float
    fix: float
    delete: float

    def __post_init__(self) -> None:
        faults = [
            f"seconds.{name} must be 0 or more, found {value}"
            for name, value in asdict(self).items()
            if not np.isfinite(value) or value < 0
        ]
        if faults:
            raise ConfigError(faults)

    def saved(self, p: float, mended: float) -> float:
        """Return the seconds that a shape saves, less than 0 where it costs more.

        p: probability of being right. mended: share of the right ones that is mended.
        """
        with_it = self.verify + p * mended * self.fix + (1 - p) * self.delete
        return p * self.draw - with_it

    def worth_from(self, mended: float) -> float:
        """Return the probability, LEAST..1, from which a shape saves more than it costs.

        1 where none does.
        """
        gain = self.draw + self.delete - mended * self.fix
        cost = self.verify + self.delete
        return 1.0 if gain <= cost else max(cost / gain, LEAST)


# Boxes: 7 s for a box by its four extreme points (Papadopoulos et al., "Extreme clicking for
# efficient object annotation", ICCV 2017), 25.5 to 34.5 s as ImageNet drew them (Su, Deng and
# Fei-Fei, 2012), CVAT's two corners in between; to verify one takes 1.5 to 2 s (Papadopoulos et
# al., "We don't need no bounding-boxes", CVPR 2016); to delete one is a click and a key, to mend
# one a drag or two. The times of a project replace them: active_learning.measures.cost.
BOX_SECONDS = ShapeSeconds(draw=10.0, verify=1.5, fix=6.0, delete=1.5)


# Outlines: 79.2 s for a polygon by hand (Lin et al., Microsoft COCO, ECCV 2014). A look goes once
# along the outline, twice that of a box; to mend one takes some ten points at the 2.4 s of a
# point on an object (Bearman et al., "What's the Point", ECCV 2016), our assumption.
@dataclass(frozen=True)
class OutlineSeconds(ShapeSeconds):
    """Seconds of a person for a polygon or mask."""

    draw: float = 79.2
    verify: float = 3.0
    fix: float = 24.0
    delete: float = 1.5


OUTLINE_SECONDS = OutlineSeconds()


def fixed_share(learnt: ScoreMap) -> float:
    """Return the share of right answers that people will mend: those below IoU 0.8 in val.

    Few answers leave it near FIXED_SHARE.
    """
    return (learnt.hits - learnt.fine + _PRIOR_DETECTIONS * FIXED_SHARE) / (
        learnt.hits + _PRIOR_DETECTIONS
    )


def card_thresholds(maps: ScoreMaps, labels: Iterable[str]) -> dict[str, float]:
    """Return the score from which each class is shown where nobody says otherwise.

    By the seconds of boxes: who asks CVAT's menu for a model's objects looks at all of them.
    """
    return {name: round(BOX_SECONDS.worth_from(fixed_share(maps.of(name))), 3) for name in labels}
