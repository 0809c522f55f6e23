"""Datasets, fitting, bundles, engines that run them, evaluation, the gate and the registry."""

from trainer.moved import moved
from trainer.moved_names import MOVED

moved(MOVED)
