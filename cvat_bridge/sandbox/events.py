"""What webhooks are told; filled in by webhooks.py."""

from __future__ import annotations

from typing import Any

from cvat_bridge.sandbox.call import Call


def updated(call: Call, table: str, row_id: int, changes: dict[str, Any]) -> None:
    """Note that a row changed."""


def created(call: Call, table: str, row_id: int) -> None:
    """Note that a row came."""


def deleted(call: Call, table: str, row_id: int) -> None:
    """Note that a row is about to go."""


def completed(call: Call, request_id: str) -> None:
    """Note that background work ended well."""
