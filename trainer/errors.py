"""Everything this package raises.

TrainerError
├── ConfigError    settings that cannot be used; lists every fault
├── DatasetError   a dataset that cannot be read (file, row, reason)
├── BundleError    a bundle that is not what its card says (path, expected, found)
├── ModelFileError  a file of weights that cannot be imported (path, reason, what to do)
├── ImageError     bytes that are not an image we can decode
├── PromptError    clicks of an annotator that make no sense
├── ComparisonError  two evaluations that do not cover the same frames
├── BlobError      a store of artefacts that cannot be used (where, reason)
│   ├── BlobMissingError  it does not hold what was asked for
│   └── BlobDamagedError  it gave other bytes than were put into it
├── RegistryError  a model version that does not exist, or a registry that cannot be reached
└── TrainingError  a fit that failed (backend, log path)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class TrainerError(Exception):
    """Base class of this package's errors."""


class ConfigError(TrainerError, ValueError):
    """Settings that cannot be used."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class DatasetError(TrainerError):
    """A dataset that cannot be read or trained on."""

    def __init__(self, path: Path | str, where: str, reason: str) -> None:
        self.path, self.where, self.reason = Path(path), where, reason
        super().__init__(f"{path}: {where}: {reason}" if where else f"{path}: {reason}")


class BundleError(TrainerError):
    """A bundle that is not what its card says."""

    def __init__(self, path: Path | str, expected: str, found: str) -> None:
        self.path, self.expected, self.found = Path(path), expected, found
        super().__init__(f"{path}: expected {expected}, found {found}")


class ModelFileError(TrainerError):
    """A file of weights that cannot be imported."""

    def __init__(self, path: Path | str, reason: str, advice: str = "") -> None:
        self.path, self.reason, self.advice = Path(path), reason, advice
        super().__init__(f"{path}: {reason}" + (f". {advice}" if advice else ""))


class ImageError(TrainerError, ValueError):
    """Bytes that cannot be decoded as an image."""


class PromptError(TrainerError, ValueError):
    """Clicks of an annotator that make no sense."""


class BlobError(TrainerError):
    """A store of artefacts that cannot be used. where: its address, or the file in it."""

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(f"the store {where}: {reason}")


class BlobMissingError(BlobError):
    """A store of artefacts does not hold what was asked for."""


class BlobDamagedError(BlobError):
    """A store of artefacts gave other bytes than were put into it."""


class TrainingError(TrainerError):
    """A fit that failed; see the log for details."""

    def __init__(self, backend: str, reason: str, log: Path | None = None) -> None:
        self.backend, self.reason, self.log = backend, reason, log
        super().__init__(f"{backend}: {reason}" + (f" (log: {log})" if log else ""))


class RegistryError(TrainerError):
    """A model version that does not exist, or a registry that cannot be reached."""

    def __init__(self, key: str, reason: str) -> None:
        self.key, self.reason = key, reason
        super().__init__(f"{key}: {reason}")


class ComparisonError(TrainerError, ValueError):
    """Two evaluations that do not cover the same frames; lists every difference."""

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__("cannot compare: " + "; ".join(self.differences))
