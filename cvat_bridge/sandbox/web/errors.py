"""What a route raises to answer with something else than success."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer of this status and JSON body; rolls back what the route wrote."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body = status, body
        super().__init__(f"{status}: {body}")


def invalid(body: Any) -> ApiError:
    """Return what is wrong with the request, as CVAT does: a list, or a dict by field."""
    return ApiError(400, [body] if isinstance(body, str) else body)


def refused(text: str) -> ApiError:
    """Say in one plain text what is wrong, as CVAT's function calls do."""
    return ApiError(400, text)


def not_found(kind: str) -> ApiError:
    """Say that there is no such object."""
    return ApiError(404, {"detail": f"No {kind} matches the given query."})


def forbidden(reason: str = "You do not have permission to perform this action.") -> ApiError:
    """Say that this account may not do it."""
    return ApiError(403, {"detail": reason})
