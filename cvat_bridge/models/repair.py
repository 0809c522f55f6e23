"""The champion's bundle or its entry in the store is gone or damaged: the way back by itself."""

from __future__ import annotations

from pathlib import Path

from cvat_bridge.config import Config
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.models.serving import project_key, serve_champion
from serverless.store.functions import Entry, entries
from trainer.bundles.bundle import read_bundle
from trainer.errors import BundleError
from trainer.registry.registry import Registry
from trainer.registry.versions import Version, served


def repair_champion(
    gateway: Gateway, config: Config, home: Home, ledger: Ledger, registry: Registry
) -> tuple[str, ...]:
    """See that the model that was promoted can serve, and say what had to be done, in sentences.

    A bundle that is gone or damaged is brought from the registry's server; where there is none the
    version that served before is promoted and serves. The registry, which takes seconds to open, is
    asked only when something is wrong. Raises GatewayError, StoreError, RegistryError.
    """
    host = config.function_host
    store = host.store or home.functions
    entry = next((row for row in entries(store) if row.id == host.function_id), None)
    if entry is None and not any(row.promoted for row in ledger.decisions()):
        return ()
    fault = _fault(entry, store)
    if not fault:
        return ()
    champion, note = intact_champion(registry, project_key(config.project_id))
    if champion is None:
        return (f"{fault}; {note or 'the registry knows of no champion'}",)
    serve_champion(gateway, config, home, champion)
    done = note or f"version {champion.number} ({champion.bundle[:12]}) serves again"
    return (f"{fault}; {done}",)


def intact_champion(registry: Registry, key: str) -> tuple[Version | None, str]:
    """Return the champion with a whole bundle, else the last one before it that has one.

    That one is the champion from then on; the sentence says so, "" where nothing was wrong. None
    where none is whole. Raises RegistryError.
    """
    champion = registry.champion(key)
    if champion is None:
        return None, ""
    try:
        return registry.whole(champion), ""
    except BundleError as error:
        fault = f"the bundle of version {champion.number} cannot be used ({error})"
    known = {row.number: row for row in registry.versions(key)}
    for number in reversed(served(registry.history(key), champion.number)[:-1]):
        if number == champion.number or number not in known:
            continue
        try:
            earlier = registry.whole(known[number])
        except BundleError:
            continue
        note = f"{fault}, so version {earlier.number}, which served before, serves again"
        return registry.promote(key, earlier.number, reasons=(note,)), note
    return None, f"{fault}, and no version that served before is whole: nothing serves"


def _fault(entry: Entry | None, store: Path) -> str:
    if entry is None:
        return f"the promoted model has no entry in {store} that can be read"
    try:
        read_bundle(store / entry.bundle, version=entry.version)
    except BundleError as error:
        return str(error)
    return ""
