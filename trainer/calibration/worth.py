"""From which probability showing a detection to an annotator saves more time than it costs.

A proposed shape is verified (verify); a right one sometimes has to be corrected (fix), a wrong one
is removed (delete) and saves nothing, since the true object still has to be drawn. Without the
proposal the true object is drawn (draw). With probability p of being right and a share f of right
shapes that need correction:

    with the shape      verify + p · f · fix + (1 - p) · delete
    without it          p · draw

so a shape saves time from p = (verify + delete) / (draw + delete - f · fix) on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from trainer.calibration.score_map import ScoreMap, ScoreMaps
from trainer.errors import ConfigError

# Calibration is measured from here on (LEAST_SCORE of trainer.calibration.measure); below it
# scores are not known to be calibrated.
LEAST = 0.1
FIXED_SHARE = 0.5  # of the right shapes, before any data
_PRIOR_DETECTIONS = 10.0  # weight of FIXED_SHARE, in detections


@dataclass(frozen=True)
class ShapeSeconds:
    """Annotation times of one shape, in seconds. Raises ConfigError for negative times.

    draw: draw a new one. verify: check one. fix: correct one. delete: remove one.
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
        """Return the seconds that a proposed shape saves, negative if it costs more.

        p: probability of being right. mended: share of right shapes that need correction.
        """
        with_it = self.verify + p * mended * self.fix + (1 - p) * self.delete
        return p * self.draw - with_it

    def worth_from(self, mended: float) -> float:
        """Return the probability, LEAST..1, from which a proposed shape saves time.

        1 if none does.
        """
        gain = self.draw + self.delete - mended * self.fix
        cost = self.verify + self.delete
        return 1.0 if gain <= cost else max(cost / gain, LEAST)


# Boxes: 7 s for a box by its four extreme points (Papadopoulos et al., "Extreme clicking for
# efficient object annotation", ICCV 2017), 25.5 to 34.5 s as ImageNet drew them (Su, Deng and
# Fei-Fei, 2012), CVAT's two corners in between; to verify one takes 1.5 to 2 s (Papadopoulos et
# al., "We don't need no bounding-boxes", CVPR 2016); to delete one is a click and a key, to fix
# one a drag or two. The times of a project replace them: active_learning.measures.cost.
BOX_SECONDS = ShapeSeconds(draw=10.0, verify=1.5, fix=6.0, delete=1.5)


# Outlines: 79.2 s for a polygon by hand (Lin et al., Microsoft COCO, ECCV 2014). Checking goes once
# along the outline, twice that of a box; to correct one takes some ten points at the 2.4 s of a
# point on an object (Bearman et al., "What's the Point", ECCV 2016), our assumption.
@dataclass(frozen=True)
class OutlineSeconds(ShapeSeconds):
    """Annotation times of a polygon or mask, in seconds."""

    draw: float = 79.2
    verify: float = 3.0
    fix: float = 24.0
    delete: float = 1.5


OUTLINE_SECONDS = OutlineSeconds()


def fixed_share(score_map: ScoreMap) -> float:
    """Return the share of right detections that people will correct: those below IoU 0.8 on val.

    With few detections it stays near FIXED_SHARE.
    """
    return (score_map.hits - score_map.fine + _PRIOR_DETECTIONS * FIXED_SHARE) / (
        score_map.hits + _PRIOR_DETECTIONS
    )


def card_thresholds(maps: ScoreMaps, labels: Iterable[str]) -> dict[str, float]:
    """Return the default score from which each class is shown.

    It uses the times of boxes: whoever runs a model from CVAT's menu reviews all its objects.
    """
    return {name: round(BOX_SECONDS.worth_from(fixed_share(maps.of(name))), 3) for name in labels}
