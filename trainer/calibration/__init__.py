"""Scores that mean something: learnt after a fit, applied where a model serves, and measured.

`measure` says how far scores are from the truth. `curves` and `learn` find the map from a
network's score to the probability that the answer is right; `score_map` is that map, which the
bundle's card keeps; `serving` applies it to every answer; `worth` says from which probability an
answer is worth a person's look; `after_fit` does it all at the end of a fit.
"""

from trainer.calibration.measure import BINS as BINS
from trainer.calibration.measure import LEAST_SCORE as LEAST_SCORE
from trainer.calibration.measure import MIN_DETECTIONS as MIN_DETECTIONS
from trainer.calibration.measure import Calibration as Calibration
from trainer.calibration.measure import CalibrationBin as CalibrationBin
from trainer.calibration.measure import calibration as calibration
