"""A gateway that dies at the n-th call, before or after the work is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cvat_bridge.cvat.gateway import Gateway


class KilledError(BaseException):
    """The process is gone; nothing that handles errors may see it."""


class DyingGateway:
    """Passes every call on to a gateway and dies at one of them.

    at: which call, from 1; 0 never dies. after: the work is done, but nobody learns of it.
    calls names the calls there were.
    """

    def __init__(self, gateway: Gateway, *, at: int = 0, after: bool = False) -> None:
        self._gateway, self._at, self._after = gateway, at, after
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._gateway, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            dies = len(self.calls) == self._at
            if dies and not self._after:
                raise KilledError(f"before {name}")
            answer = method(*args, **kwargs)
            if name == "frames":  # a generator: done is when it was read
                answer = list(answer)
            if dies:
                raise KilledError(f"after {name}")
            return answer

        return call
