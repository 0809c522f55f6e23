"""What snapshots still tell a ledger that was lost: the holdout, and what was learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import KnownLabel, Membership, Role, UsedJob
from cvat_bridge.recovery.durable import DurableRound
from cvat_bridge.recovery.leftovers import PulledSnapshot


def restore_sides(ledger: Ledger, snapshots: Sequence[PulledSnapshot]) -> int:
    """Freeze the images again on the side where the snapshots had them; what was held out stays."""
    known = ledger.memberships()
    rows: dict[str, Membership] = {}
    for snapshot in snapshots:
        since = datetime.fromtimestamp(snapshot.written, timezone.utc).isoformat(timespec="seconds")
        for image in snapshot.images:
            sha256, split = str(image["sha256"]), str(image["split"])
            held = rows.get(sha256)
            if sha256 in known or (held is not None and held.role == "holdout"):
                continue
            role: Role = "holdout" if split == "holdout" else "train"
            if held is None or held.role != role:
                rows[sha256] = Membership(sha256, role, str(image["group"]), "restored", since)
    ledger.add_memberships(rows.values())
    return len(rows)


def restore_used(
    gateway: Gateway,
    ledger: Ledger,
    snapshots: Sequence[PulledSnapshot],
    durable: Sequence[DurableRound],
    project_id: int,
) -> int:
    """Take the jobs of the newest snapshot of a round as learnt from; return how many are new."""
    told = [row.answers.get("pull", {}).get("fingerprint") for row in durable]
    named = [f for f in told if f in {row.fingerprint for row in snapshots}]
    newest = [
        row
        for row in snapshots
        if (row.fingerprint == named[-1] if named else row.round is not None)
    ]
    if not newest or ledger.used_jobs():
        return 0
    snapshot = newest[-1]
    ledger.use_jobs(
        UsedJob(int(row["job"]), str(row["updated_date"]), "completed", snapshot.fingerprint)
        for row in snapshot.jobs
    )
    types = {label.id: label.type for label in gateway.labels(project_id=project_id)}
    ledger.set_labels(
        KnownLabel(number, name, types.get(number, ""))
        for name, number in snapshot.label_ids.items()
    )
    return len(snapshot.jobs)
