"""What the store keeps, and for how long."""

from __future__ import annotations

from datetime import timedelta

from cvat_bridge.store.artefacts import PREDICTIONS, SNAPSHOTS
from cvat_bridge.store.checkpoints import KIND as CHECKPOINTS
from trainer.blobs.store import BlobStore
from trainer.blobs.sweep import Swept, sweep

# What is made anew from CVAT when it is wanted again; bundles and functions stay for good.
EXPIRE = {
    CHECKPOINTS: timedelta(days=14),
    SNAPSHOTS: timedelta(days=90),
    PREDICTIONS: timedelta(days=90),
}


def sweep_store(blobs: BlobStore, *, age: timedelta, dry: bool = False) -> Swept:
    """Delete what no name leads to and is older than `age`. Raises BlobError, ValueError."""
    return sweep(blobs, age=age, expire=EXPIRE, dry=dry)
