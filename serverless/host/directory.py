"""What the host shows: its own functions and those of the Nuclio behind it, and how each fares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serverless.errors import FunctionError, UnknownFunctionError, UpstreamError
from serverless.host.pool import Pool
from serverless.host.upstream import Upstream
from serverless.store.catalogue import Catalogue
from serverless.store.folders import GENERAL_INTERACTOR
from serverless.store.functions import Entry


@dataclass(frozen=True)
class Shown:
    """functions: by id, as CVAT reads them. held_back: what it isn't shown, and why."""

    functions: Mapping[str, dict[str, Any]]
    held_back: Mapping[str, list[str]]


@dataclass
class Directory:
    """The functions of a store, and of an upstream where there is one. port: where we listen."""

    catalogue: Catalogue
    pool: Pool
    upstream: Upstream | None
    port: int
    _faults: dict[tuple[str, str], str] = field(default_factory=dict)
    _unreadable: dict[str, tuple[int, str]] = field(default_factory=dict)

    def entry(self, function_id: str) -> Entry:
        """Return a function of the store; UnknownFunctionError when it is not published."""
        return self.catalogue.entry(function_id)

    def note(self, entry: Entry, fault: str) -> None:
        """Remember how the last call of this version went; "" is well."""
        if fault:
            self._faults[entry.id, entry.version] = fault
        else:
            self._faults.pop((entry.id, entry.version), None)

    def note_unreadable(self, entry: Entry, reason: str) -> None:
        """Count an image that could not be read, for status; the model is well."""
        count, _ = self._unreadable.get(entry.id, (0, ""))
        self._unreadable[entry.id] = (count + 1, reason)

    async def functions(self, headers: Mapping[str, str]) -> Shown:
        """Return everything that CVAT may offer; no fault of one function touches another.

        Also begins to load what was promoted since, and lets go of what was withdrawn.
        """
        found = self.catalogue.read()
        self.pool.keep_only({entry.id for entry in found.entries})
        held_back = {fault.path.name: [fault.reason] for fault in found.faults}
        ours: dict[str, dict[str, Any]] = {}
        for entry in found.entries:
            self.pool.prefetch(entry, swap_only=True)
            try:
                ours[entry.id] = self._describe(entry)
            except FunctionError as error:
                held_back[entry.id] = [str(error)]
        if self.upstream is None:
            return Shown(_preselected_first(ours), held_back)
        try:
            theirs, faults = await self.upstream.functions(headers)
        except UpstreamError as error:
            # Our own models stay in CVAT when the Nuclio behind us is down; status tells it.
            down = {self.upstream.shown: [error.reason]}
            return Shown(_preselected_first(ours), held_back | down)
        twice = {name: ["a function here has this name"] for name in theirs if name in ours}
        return Shown(_preselected_first(theirs | ours), held_back | faults | twice)

    async def function(self, function_id: str, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return one function as CVAT reads it, and begin to load its model: a call comes next."""
        try:
            entry = self.entry(function_id)
        except UnknownFunctionError:
            if self.upstream is None:
                raise
            theirs, faults = await self.upstream.functions(headers)
            if function_id in faults:
                raise FunctionError("; ".join(faults[function_id])) from None
            if function_id not in theirs:
                raise
            return theirs[function_id]
        self.pool.prefetch(entry)
        return self._describe(entry)

    async def status(self, headers: Mapping[str, str]) -> dict[str, Any]:
        """Return how every function fares, and what is held back and why."""
        shown = await self.functions(headers)
        entries = self.catalogue.read().entries
        ids = {entry.id for entry in entries}
        return {
            "functions": [self._fares(entry, shown.held_back) for entry in entries],
            "held_back": {
                name: why
                for name, why in shown.held_back.items()
                if name not in ids or name in shown.functions
            },
            "models": self.pool.count,
            "held_bytes": self.pool.held_bytes,
            "memory_bytes": self.pool.memory_bytes,
            "upstream": self.upstream.shown if self.upstream else None,
        }

    def _fares(self, entry: Entry, held_back: Mapping[str, list[str]]) -> dict[str, Any]:
        fault = self._fault(entry) or "; ".join(held_back.get(entry.id, ()))
        serving = self.pool.version_serving(entry)
        return {
            "id": entry.id,
            "name": entry.name,
            "version": entry.version,
            "serving": serving,
            "state": "unhealthy" if fault else "serving" if serving else "not loaded",
            "fault": fault,
            "frames_not_read": dict(
                zip(("count", "last"), self._unreadable.get(entry.id, (0, "")), strict=True)
            ),
        }

    def _describe(self, entry: Entry) -> dict[str, Any]:
        return self.catalogue.describe(entry, port=self.port, fault=self._fault(entry))

    def _fault(self, entry: Entry) -> str:
        return self.pool.fault(entry) or self._faults.get((entry.id, entry.version), "")


def _preselected_first(functions: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Put a project's own interactor first: CVAT's editor preselects the first of its list.

    Where several projects have one, none goes before the general one: CVAT does not say for which
    project it asks.
    """
    own = [name for name in functions if name.startswith(f"{GENERAL_INTERACTOR}-")]
    first = {own[0]: functions[own[0]]} if len(own) == 1 else {}
    return first | dict(functions)
