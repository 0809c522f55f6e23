"""What a caller of the service has to show, and how much one may send."""

from __future__ import annotations

import hmac
from typing import Any

from fastapi import Depends, HTTPException, Request


def token_needed(token: str) -> Any:
    """Return the dependency that answers 401 to a request without `Authorization: Bearer`."""

    def check(request: Request) -> None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), token.encode())
        if kind.lower() != "bearer" or not token or not right:
            raise HTTPException(
                401,
                "send Authorization: Bearer with the token in service.token of the bridge's home",
                {"WWW-Authenticate": "Bearer"},
            )

    return Depends(check)


async def body_within(request: Request, most: int) -> bytes:
    """Read a body of at most so many bytes, announced or not; ValueError for more."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdigit() or len(announced) > 18 or int(announced) > most:
        raise ValueError(announced[:20])
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > most:
            raise ValueError(len(parts))
    return bytes(parts)
