"""Datasets, fitting, bundles, engines that run them, evaluation, the gate and the registry."""

from trainer.extensions import ENGINES_GROUP, offer
from trainer.moved import moved
from trainer.moved_names import MOVED
from trainer.renamed_names import KEYWORDS, RENAMED

moved(MOVED, renamed=RENAMED, keywords=KEYWORDS)
offer(ENGINES_GROUP, "sam", "trainer.backends.sam.engine:load")
