"""Modern detectors under permissive licences: YOLOX, YOLOv9, D-FINE, DEIM and RF-DETR.

Networks and losses come from libreyolo (MIT, an optional extra); training uses the shared loop.
"""

from trainer.backends.package_backend import PackageBackend
from trainer.detector import Backend

BACKEND: Backend = PackageBackend(__name__, frozenset({"boxes"}))
