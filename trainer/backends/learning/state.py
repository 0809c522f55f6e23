"""The saved state of a fit: written atomically, rejected when it belongs to another fit."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from trainer.data.dataset import Dataset
from trainer.detector import FitConfig
from trainer.errors import TrainingError
from trainer.renamed import current_settings, former_settings

STATE = "state.pt"
STOP = "stop"  # a file of this name in run_dir ends the fit after the current step
FREE = ("device", "workers", "time_limit")  # these may differ when a fit is resumed
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def former_key(dataset: Dataset, config: FitConfig) -> dict[str, str]:
    """Return the key that version 0.1 gave to the same fit, whose settings had other names."""
    extra = former_settings(config.backend, config.extra)
    return _key(dataset, dataclasses.replace(config, extra=extra))


def state_key(dataset: Dataset, config: FitConfig) -> dict[str, str]:
    """Return what identifies a fit for resuming: hashes of dataset and settings."""
    extra = current_settings(config.backend, config.extra)
    return _key(dataset, dataclasses.replace(config, extra=extra))


def _key(dataset: Dataset, config: FitConfig) -> dict[str, str]:
    fixed = {name: value for name, value in config.to_json().items() if name not in FREE}
    text = json.dumps(fixed, sort_keys=True, default=str)
    return {"dataset": dataset.fingerprint, "config": hashlib.sha256(text.encode()).hexdigest()}


def save_state(run_dir: Path, key: Mapping[str, str], values: Mapping[str, Any], who: str) -> None:
    """Write the state of a fit. Raises TrainingError when the disk is full."""
    part = run_dir / f"{STATE}.part"
    written = io.BytesIO()  # torch's own writer hides disk-full errors
    torch.save({"key": dict(key), **values}, written)
    with disk_errors(part, who):
        part.write_bytes(written.getbuffer())
        part.replace(run_dir / STATE)


def read_state(
    run_dir: Path,
    key: Mapping[str, str],
    device: torch.device,
    who: str,
    *,
    former: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """Return what save_state wrote, or None; TrainingError for the state of another fit.

    former: a second key that is accepted, see former_key.
    """
    path = run_dir / STATE
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if state["key"] not in (dict(key), former):
        differ = [k for k in key if state["key"].get(k) != key[k]]
        raise TrainingError(
            who, f"{run_dir} contains a fit of another {' and '.join(differ)}; use a new folder"
        )
    return state


@contextmanager
def disk_errors(part: Path, who: str) -> Iterator[None]:
    """Turn a full disk into a TrainingError, and remove the partial file."""
    try:
        yield
    except OSError as error:
        part.unlink(missing_ok=True)
        if error.errno not in _FULL:
            raise
        raise TrainingError(
            who,
            f"the disk is full: {part.name} cannot be written to {part.parent}. The state saved "
            "before is intact; free some space and continue with `trainer resume`",
        ) from error
