"""The YOLO family through ultralytics (AGPL-3.0, so an optional extra): boxes and masks.

FitConfig.base is a bundle of this backend, or an ultralytics .pt. The latter is a pickle, which can
run code: use only files from people you trust.
"""

from trainer.backends.package_backend import PackageBackend
from trainer.detector import Backend

BACKEND: Backend = PackageBackend(__name__, frozenset({"boxes", "masks"}))
