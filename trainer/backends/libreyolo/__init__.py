"""Modern detectors under permissive licences by name: YOLOX, YOLOv9, D-FINE, DEIM and RF-DETR.

Their networks and losses are libreyolo's (MIT, an optional extra); they learn by the shared loop.
"""

from trainer.backends.package_backend import PackageBackend
from trainer.detector import Backend

BACKEND: Backend = PackageBackend(__name__, frozenset({"boxes"}))
