"""What every worker needs, imported once: the process that forks them imports this module."""

from __future__ import annotations

import os

# Read at import: without it the runtime writes into the user's home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # noqa: F401

from serverless.host.workers import child  # noqa: F401
from trainer.engines import centernet, generic_onnx, yolo  # noqa: F401
