"""Everything the bridge raises.

BridgeError
├── ConfigError            settings that cannot be used; lists every fault
├── GatewayError           CVAT refused or failed (operation, object, status)
│   ├── AuthenticationError  who we are, or what we may do, is not enough
│   ├── NotFoundError        the object is not there (any more)
│   ├── UnsupportedError     this server's version cannot do it
│   ├── CertificateError     the server's certificate is not accepted, so nothing was sent
│   ├── BrokenMediaError     the frames that CVAT sent cannot be read
│   └── UnreachableError     no answer, 429 or 5xx after every retry: worth trying later
├── NotReadyError          CVAT is still at work on it: worth trying later
├── LabelMismatchError     labels of the project and of the model differ (both sides named)
├── WorkFailedError        work that another machine did failed
├── NothingToDoError       there is no work; not a failure (exit code 3)
├── HomeHeldError          another process works in the home
├── HomeError              a file of the home, or the folder itself, cannot be used
├── ProjectTakenError      another bridge works on the project
└── LedgerError            our own records cannot be read or contradict each other
    ├── RecordsError         the ledger is lost, damaged or older than what other places know
    ├── DatabaseAwayError    the server of our records does not answer: worth trying later
    └── LeaseLostError       another process holds the lease now, so this one must not write
"""

from __future__ import annotations

from collections.abc import Sequence

_NAMED = 20  # labels that a message names


class BridgeError(Exception):
    """The one ancestor of this package's errors."""


class ConfigError(BridgeError, ValueError):
    """Settings that cannot be used."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class HomeHeldError(BridgeError):
    """Another process works in the home. by: "service", "command", or "" where it is not known."""

    def __init__(self, home: str, *, by: str) -> None:
        self.home, self.by = home, by
        what = "the service (`cvat-bridge run`)" if by == "service" else "another cvat-bridge"
        super().__init__(f"{what} works in {home}; stop it, or wait until it is done")


class HomeError(BridgeError):
    """A file of the home, or the folder itself, cannot be used."""


class ProjectTakenError(BridgeError):
    """Another bridge works on the project."""


class GatewayError(BridgeError):
    """CVAT refused or failed."""

    def __init__(
        self, operation: str, subject: str, status: int | None, detail: str, advice: str = ""
    ) -> None:
        self.operation, self.subject, self.status = operation, subject, status
        self.detail, self.advice = detail, advice
        said = f"CVAT answered {status}" if status else "CVAT gave no answer"
        text = f"{operation} {subject}: {said}: {detail}"
        super().__init__(f"{text}. {advice}" if advice else text)


class AuthenticationError(GatewayError):
    """Who we are, or what we may do, is not enough."""


class NotFoundError(GatewayError):
    """The object is not there (any more)."""


class UnsupportedError(GatewayError):
    """This server's version cannot do it."""


class CertificateError(GatewayError):
    """The server's certificate is not accepted, so nothing was sent."""


class BrokenMediaError(GatewayError):
    """The frames that CVAT sent cannot be read."""


class UnreachableError(GatewayError):
    """No answer, 429 or 5xx after every retry: worth trying later."""


class NotReadyError(BridgeError):
    """CVAT is still at work on it: worth trying later."""


class LabelMismatchError(BridgeError):
    """Labels of the project and of the model differ."""

    def __init__(self, project: Sequence[str], model: Sequence[str], advice: str = "") -> None:
        self.project, self.model = tuple(project), tuple(model)
        super().__init__(
            f"the project's labels are {_some(project)}; the model's are {_some(model)}. "
            f"{advice}".rstrip()
        )


class WorkFailedError(BridgeError):
    """Work that another machine did failed. kind: the class of its error there."""

    # Plain fields, so that the record of it can be read back.
    def __init__(self, kind: str, message: str) -> None:
        self.kind, self.message = kind, message
        super().__init__(kind, message)

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


class NothingToDoError(BridgeError):
    """There is no work; not a failure."""


class LedgerError(BridgeError):
    """Our own records cannot be read or contradict each other."""


class RecordsError(LedgerError):
    """The ledger is lost, damaged or older than what other places know.

    found: sentences, each with what disagrees and where. advice: the way back.
    """

    def __init__(self, found: Sequence[str], advice: str) -> None:
        self.found, self.advice = tuple(found), advice
        super().__init__(f"{'; '.join(self.found)}. {advice}")


class DatabaseAwayError(LedgerError):
    """The server of our records does not answer: worth trying later."""


class LeaseLostError(LedgerError):
    """Another process holds the lease now, or it ran out, so this one must not write."""


def _some(names: Sequence[str]) -> str:
    """Name labels; of very many the first."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (", ".join(names[:_NAMED]) or "(none)") + more
