"""A proxy whose server carries out late what the client has given up."""

from __future__ import annotations

from collections.abc import Callable

from tests.fakes.scripted import Answer, Asked, forwarded


class LateProxy:
    """Passes everything on, except that one request gets no answer and is carried out later.

    meant: whether a request is the one. at_once: right after the next one that is meant was
    answered; otherwise when `carry_out` is called.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.meant: Callable[[Asked], bool] = lambda _: False
        self.at_once = True
        self.kept: Asked | None = None
        self.done = 0

    def __call__(self, asked: Asked) -> Answer:
        if not self.meant(asked) or self.done:
            return forwarded(self.url, asked)
        if self.kept is None:
            self.kept = asked
            return Answer(hang_up=True)
        answer = forwarded(self.url, asked)
        if self.at_once:
            self.carry_out()
        return answer

    def carry_out(self) -> None:
        """Let the server do what it was asked long ago."""
        if self.kept is not None and not self.done:
            forwarded(self.url, self.kept)
            self.done += 1
