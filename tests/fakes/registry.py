"""The model registry in memory: it implements what the bridge asks of trainer's, without MLflow."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from trainer.bundles.bundle import Bundle, read_bundle
from trainer.errors import BundleError
from trainer.registry.versions import Promotion, Version

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


class FakeRegistry:
    """Versions of one key. remote: bundles that a server could still give, by version."""

    tracking_uri = "memory:"

    def __init__(self) -> None:
        self.rows: list[Version] = []
        self.changes: list[Promotion] = []
        self.remote: dict[str, Bundle] = {}

    def add(self, key: str, bundle: Bundle) -> Version:
        """Register a bundle where it lies."""
        number = len(self.rows) + 1
        row = Version(key, number, bundle.version, bundle.path, NOW, False, {}, {}, {})
        self.rows.append(row)
        return row

    def champion(self, key: str) -> Version | None:
        return next((row for row in self.rows if row.key == key and row.champion), None)

    def versions(self, key: str) -> list[Version]:
        return [row for row in reversed(self.rows) if row.key == key]

    def show(self, key: str, version: int | str) -> Version:
        return next(r for r in self.versions(key) if str(version) in (str(r.number), r.bundle))

    def history(self, key: str) -> list[Promotion]:
        del key
        return list(self.changes)

    def promote(self, key: str, version: int | str, *, reasons: tuple[str, ...] = ()) -> Version:
        found = self.show(key, version)
        read_bundle(found.path, version=found.bundle)
        self.rows = [replace(row, champion=row.number == found.number) for row in self.rows]
        self.changes.append(Promotion(found.number, "promote", NOW, reasons))
        return self.show(key, found.number)

    def whole(self, version: Version) -> Version:
        try:
            read_bundle(version.path, version=version.bundle)
        except BundleError:
            if version.bundle not in self.remote:
                raise
            here = Path(self.remote[version.bundle].path)
            version = replace(version, path=here)
        return version
