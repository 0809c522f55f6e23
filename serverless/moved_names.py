"""Where the modules of version 0.1 went: old name to new, read by trainer.moved."""

from __future__ import annotations

MOVED = {
    "serverless.answers": "serverless.wire.answers",
    "serverless.app": "serverless.host.app",
    "serverless.batching": "serverless.host.batching",
    "serverless.calls": "serverless.host.calls",
    "serverless.catalogue": "serverless.store.catalogue",
    "serverless.confidence": "serverless.store.confidence",
    "serverless.contour": "serverless.polygon.contour",
    "serverless.describe": "serverless.store.describe",
    "serverless.directory": "serverless.host.directory",
    "serverless.figures": "serverless.host.figures",
    "serverless.folders": "serverless.store.folders",
    "serverless.models": "serverless.host.models",
    "serverless.outline": "serverless.wire.outline",
    "serverless.pool": "serverless.host.pool",
    "serverless.simplify": "serverless.polygon.simplify",
    "serverless.sources": "serverless.export.sources",
    "serverless.unpacked": "serverless.wire.base64_cache",
    "serverless.upstream": "serverless.host.upstream",
    "serverless.wire.unpacked": "serverless.wire.base64_cache",
}

# The names of version 0.1 that have another one now, by module.
RENAMED = {
    "serverless.handler": {"Worker": "FunctionWorker"},
    "serverless.wire.base64_cache": {"Unpacked": "Base64Cache", "unpacked": "decode_base64"},
    "serverless.wire.outline": {"outlined": "redrawn_mask"},
}
