"""torchvision's detectors by name: Faster R-CNN, RetinaNet, FCOS, and Mask R-CNN for masks."""

from trainer.backends.package_backend import PackageBackend
from trainer.detector import Backend

BACKEND: Backend = PackageBackend(__name__, frozenset({"boxes", "masks"}))
