"""Everything this package raises.

FunctionError
├── BadRequestError      400  an invalid request
│   └── UnreadableImageError  the image cannot be read: a detector returns no objects and a header
├── UnknownFunctionError 404  nothing is published under that name
├── ModelError           500  the model failed, or returned what cannot be shown
├── UpstreamError        502  the Nuclio behind the host cannot be reached
├── TooLargeError        413  a request larger than the limit
├── SlowSenderError      408  the caller took too long to send
├── BusyError            503  too many calls are waiting; try again
├── PausedError          503  the model failed repeatedly and is restarted later
├── CallTimeoutError     504  the model exceeded the time limit of a call
├── StoreError           500  an entry of the store that cannot be read or written
├── ExportError               a model that cannot be written as a function's folder
└── HostError                 the function host did not start
"""

from __future__ import annotations

from pathlib import Path


class FunctionError(Exception):
    """Base class of this package's errors; `status` is the HTTP status."""

    status = 500


class BadRequestError(FunctionError):
    """An invalid request."""

    status = 400


class UnreadableImageError(BadRequestError):
    """The image of a request cannot be read.

    CVAT aborts the annotation of a whole task at the first response that is not a list, so a
    detector's call returns an empty list, with the reason in a header and in the log.
    """


class UnknownFunctionError(FunctionError):
    """Nothing is published under that name."""

    status = 404

    def __init__(self, function_id: str) -> None:
        self.function_id = function_id
        super().__init__(f"Function {function_id!r} not found")


class ModelError(FunctionError):
    """The model failed, or returned what cannot be shown."""


class UpstreamError(FunctionError):
    """The Nuclio behind the host cannot be reached."""

    status = 502

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(f"{url}: {reason}")


class BusyError(FunctionError):
    """Too many calls are already waiting."""

    status = 503


class TooLargeError(FunctionError):
    """The request is larger than the limit."""

    status = 413


class SlowSenderError(FunctionError):
    """The caller took too long to send its request."""

    status = 408


class PausedError(FunctionError):
    """The model's process failed, and is restarted after `seconds`."""

    status = 503

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class CallTimeoutError(FunctionError):
    """The model exceeded the time limit of a call."""

    status = 504


class StoreError(FunctionError):
    """An entry of the store that cannot be read or written."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path}: {reason}")


class HostError(FunctionError):
    """The function host did not start."""


class ExportError(FunctionError):
    """A model that cannot be written as a function's folder."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(f"{folder}: {reason}")
