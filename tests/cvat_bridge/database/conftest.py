from __future__ import annotations

import pytest

from cvat_bridge.database.engine import Database
from cvat_bridge.database.place import Place, project_place, service_place


class Site:
    """One database for a service and its projects: files in a folder, or a server's."""

    def __init__(self, folder, url=None):
        self.folder, self.url = folder, url

    def project(self, number=12) -> Place:
        file = self.folder / "projects" / str(number) / "ledger.db"
        return project_place(self.url, file, number, service=self.folder / "service.db")

    def service(self) -> Place:
        return service_place(self.url, self.folder / "service.db")

    def opened(self, place, **more) -> Database:
        return Database(place, **more)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request, tmp_path):
    if request.param == "sqlite":
        return Site(tmp_path)
    return Site(tmp_path, request.getfixturevalue("database_url"))
