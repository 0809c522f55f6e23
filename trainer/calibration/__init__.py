"""Calibration of scores: learned after a fit, applied when a model serves, and measured.

`measure` computes the calibration error. `curves` and `learn` find the map from a network's score
to the probability that the detection is right; `score_map` is that map, which is stored in the
bundle's card; `serving` applies it to every detection; `worth` computes from which probability
showing a detection saves time. trainer.runs.calibrating does it all at the end of a fit.
"""

from trainer.calibration.measure import BINS as BINS
from trainer.calibration.measure import LEAST_SCORE as LEAST_SCORE
from trainer.calibration.measure import MIN_DETECTIONS as MIN_DETECTIONS
from trainer.calibration.measure import Calibration as Calibration
from trainer.calibration.measure import CalibrationBin as CalibrationBin
from trainer.calibration.measure import calibration as calibration
