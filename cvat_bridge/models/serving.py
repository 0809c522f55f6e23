"""A version of the registry begins to serve in CVAT: by a round, or by a person's word."""

from __future__ import annotations

import json
from dataclasses import dataclass

from cvat_bridge.config import Config
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.models.publishing import LABEL_IDS, publish_champion
from cvat_bridge.models.relabelling import relabel, remember
from serverless.store.functions import Entry, entries
from trainer.errors import RegistryError
from trainer.registry.registry import Registry
from trainer.registry.versions import Version

BY_HAND = ("by hand",)


@dataclass(frozen=True)
class Serving:
    """What answers in CVAT. version: of the bundle, None when nothing does. why: sentences."""

    version: str | None
    why: tuple[str, ...]


def project_key(project_id: int) -> str:
    """Name a project's models in the registry."""
    return f"project-{project_id}"


def serve_champion(gateway: Gateway, config: Config, home: Home, champion: Version) -> Entry:
    """Put the champion into the function host's store, where the next call finds it.

    Raises BundleError for a bundle that is not what its card says, StoreError, GatewayError.
    """
    host = config.function_host
    store, labels = host.store or home.functions, gateway.labels(project_id=config.project_id)
    entry = publish_champion(
        store,
        function_id=host.function_id,
        name=host.name or f"{gateway.project(config.project_id).name} champion",
        champion=champion,
        labels=labels,
        project_key=project_key(config.project_id),
    )
    remember(store, entry, config.project_id, labels)
    return entry


def follow_labels(
    gateway: Gateway, config: Config, home: Home, registry: Registry
) -> tuple[str, ...]:
    """Publish again what shows labels that were renamed or deleted since; say which, in words.

    Raises GatewayError, StoreError, BundleError, RegistryError.
    """

    def ids() -> dict[str, int]:
        champion = registry.champion(project_key(config.project_id))
        return {} if champion is None else json.loads(champion.tags.get(LABEL_IDS, "{}"))

    host = config.function_host
    changed = relabel(
        host.store or home.functions,
        config.project_id,
        host.function_id,
        gateway.labels(project_id=config.project_id),
        ids=ids,
    )
    return tuple(
        f"{entry.id} now shows {', '.join(row.name for row in entry.labels) or 'its own classes'}"
        for entry in changed
    )


def promote(
    gateway: Gateway,
    config: Config,
    home: Home,
    registry: Registry,
    version: str,
    *,
    reasons: tuple[str, ...] = BY_HAND,
) -> tuple[Version, Entry]:
    """Make a version the champion by a person's word, without the gate, and let it serve.

    reasons: who said so, and why, in sentences.

    One that is the champion already is published again: it mends a store that was lost. Raises
    RegistryError when no version, or several, answer to the name.
    """
    champion = registry.promote(project_key(config.project_id), version, reasons=reasons)
    return champion, serve_champion(gateway, config, home, champion)


def rollback(
    gateway: Gateway,
    config: Config,
    home: Home,
    registry: Registry,
    *,
    reasons: tuple[str, ...] = BY_HAND,
) -> tuple[Version, Entry]:
    """Let the previous champion serve again. Raises RegistryError when there is none."""
    key = project_key(config.project_id)
    now = registry.champion(key)
    if now is None:
        raise RegistryError(key, "no model serves, so there is none to go back from")
    champion = registry.rollback(key, reasons=reasons)
    return champion, serve_champion(gateway, config, home, champion)


def now_serving(config: Config, home: Home, ledger: Ledger, registry: Registry) -> Serving:
    """Return which version the function host serves, and who promoted it: a round or a person.

    The store is what the host reads, so it is what is told. The registry is asked only for what
    no round decided last, since opening it takes seconds. Raises StoreError for a store that
    cannot be read; a registry that does not answer is told as the reason.
    """
    host = config.function_host
    store = host.store or home.functions
    entry = next((row for row in entries(store) if row.id == host.function_id), None)
    promoted = [row for row in ledger.decisions() if row.promoted]
    last = promoted[-1] if promoted else None
    if entry is None and last is None:
        return Serving(None, _explained(ledger, config.project_id))
    if entry is None:
        lost = f"{store} has no {host.function_id}.json, so the promoted version does not serve"
        return Serving(None, (f"{lost}; `cvat-bridge promote VERSION` puts it back",))
    if last is not None and entry.version == last.challenger:
        return Serving(entry.version, last.reasons)
    try:
        return Serving(entry.version, _by_whom(registry, project_key(config.project_id), entry))
    except RegistryError as error:
        return Serving(entry.version, (f"why is not known: {error}",))


def _explained(ledger: Ledger, project_id: int) -> tuple[str, ...]:
    """Return what the last round that decided said of why nothing serves, and what would help."""
    for row in sorted(ledger.rounds(project_id), key=lambda one: -one.number):
        lines = row.figures.get("explanation") or row.figures.get("reasons")
        if lines:
            return tuple(lines)
    return ("no model was promoted yet: no round has learnt and judged one",)


def _by_whom(registry: Registry, key: str, entry: Entry) -> tuple[str, ...]:
    """Return the last change of champion to the version of an entry, as sentences."""
    numbers = [v.number for v in registry.versions(key) if v.bundle == entry.version]
    changes = [row for row in registry.history(key) if row.number in numbers]
    if not changes:
        return ("the registry has no record of its promotion",)
    change = changes[-1]
    verb = "rolled back to" if change.action == "rollback" else "promoted"
    when = f"{change.at:%Y-%m-%d %H:%M} UTC"
    return (f"{verb} on {when}: {' '.join(change.reasons) or 'no reason was given'}",)
