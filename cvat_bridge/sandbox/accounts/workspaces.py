"""The workspace of a request: an organization or the caller's own, and the caller's role there."""

from __future__ import annotations

from dataclasses import dataclass

from cvat_bridge.sandbox.store.state import Row
from cvat_bridge.sandbox.web.call import Call
from cvat_bridge.sandbox.web.errors import ApiError, forbidden, invalid


@dataclass(frozen=True)
class Workspace:
    """Where a request is made: an organization, the personal workspace, or it did not say."""

    organization: Row | None
    personal: bool

    def holds(self, organization_id: int | None) -> bool:
        """Return whether an object of that organization (None: personal) is in this workspace."""
        if self.organization is not None:
            return bool(organization_id == self.organization["id"])
        return organization_id is None or not self.personal

    @property
    def id(self) -> int | None:
        """Return the organization that new objects go to."""
        return self.organization["id"] if self.organization else None


def context(call: Call) -> Workspace:
    """Return the workspace of a request; ApiError for an organization we are not in."""
    slug = call.query.get("org", call.headers.get("x-organization"))
    number = call.query.get("org_id")
    if "org" in call.query and call.headers.get("x-organization", slug) != slug:
        raise invalid(
            'You cannot specify "org" query parameter and "X-Organization" HTTP header with '
            "different values."
        )
    if number and slug:
        raise invalid('You cannot specify "org_id" query parameter with "org" or "X-Organization"')
    if number:
        found = call.db.get("organization", int(number)) if number.isdigit() else None
    elif slug:
        found = call.db.one("SELECT * FROM organization WHERE slug = ?", slug)
    else:
        return Workspace(None, personal=slug == "" or number == "")
    if found is None:
        raise ApiError(404, {"detail": f"{slug or number} organization does not exist."})
    if not call.is_admin and role(call, found["id"]) is None:
        raise forbidden()
    return Workspace(found, personal=False)


def role(call: Call, organization_id: int | None) -> str | None:
    """Return the caller's role in an organization; None for no member."""
    found = call.db.scalar(
        "SELECT role FROM membership WHERE organization_id = ? AND user_id = ? AND is_active",
        organization_id,
        call.user["id"],
    )
    return str(found) if found else None


def may_create(call: Call, workspace: Workspace) -> None:
    """Check that the caller may make projects and tasks there: a worker may not."""
    if workspace.organization is not None and role(call, workspace.id) == "worker":
        raise forbidden()
