"""Clicks to masks: the DEXTR recipe (Maninis et al., CVPR 2018) with corrective clicks."""

from trainer.backends.package_backend import PackageBackend
from trainer.detector import Backend

BACKEND: Backend = PackageBackend(__name__, frozenset({"interactor"}))
