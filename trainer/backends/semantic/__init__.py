"""Semantic segmentation: DeepLabV3 and LR-ASPP of torchvision, one mask per class and region."""

from trainer.backends.package_backend import PackageBackend
from trainer.detector import Backend

BACKEND: Backend = PackageBackend(__name__, frozenset({"masks"}))
