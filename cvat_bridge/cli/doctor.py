"""`cvat-bridge doctor`: look at everything the loop stands on, and say how to mend what is not."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from cvat_bridge.assembly import round_settings
from cvat_bridge.config import Config
from cvat_bridge.cvat.gateway import Gateway, Label
from cvat_bridge.cvat.reachability import check_reachable
from cvat_bridge.errors import AuthenticationError, BridgeError, ConfigError, GatewayError
from cvat_bridge.home import Home
from cvat_bridge.loop.people.assignment import check_assignees
from cvat_bridge.models.relabelling import gone
from serverless.errors import StoreError
from serverless.store.functions import entries

State = Literal["good", "warning", "bad", "unknown"]
LEARNABLE = frozenset({"any", "rectangle", "polygon", "mask", "ellipse"})
LEAST_DISK = 2 << 30
HOST_SECONDS = httpx.Timeout(30.0, connect=2.0)
BACKEND_NEEDS = {
    "yolo": ("torch", "ultralytics"),
    "centernet": ("torch",),
    "libreyolo": ("torch", "torchvision", "libreyolo"),
    "torchvision_detection": ("torch", "torchvision"),
    "semantic": ("torch", "torchvision"),
}


@dataclass(frozen=True)
class Check:
    """One thing looked at. mend: what to do, "" where nothing need be done."""

    name: str
    state: State
    found: str
    mend: str = ""


def examine(config: Config, connect: Callable[[], Gateway]) -> Iterator[Check]:
    """Look at address, version, rights, labels, webhook, function host, backend and disk.

    connect may raise GatewayError; what hangs on it is then told as unknown, never as good.
    """
    yield _disk(config.home)
    yield _backend(config.trainer.backend)
    yield _host(config)
    try:
        check_reachable(config.cvat.url)
        gateway = connect()
        version = ".".join(map(str, gateway.capabilities().version))
    except AuthenticationError as error:
        yield Check("address", "good", config.cvat.url)
        yield Check("credentials", "bad", str(error), "make a new personal access token in CVAT")
        return
    except BridgeError as error:
        yield Check("address", "bad", str(error), f"is {config.cvat.url} right, and is CVAT up?")
        return
    yield Check("address", "good", config.cvat.url)
    yield Check("version", "good", f"CVAT {version}")
    checks: tuple[Callable[[Config, Gateway], Iterator[Check]], ...] = (
        _rights,
        _project,
        _assignees,
        _webhook,
        _functions,
    )
    for check in checks:
        try:
            yield from check(config, gateway)
        except GatewayError as error:
            yield Check(check.__name__.strip("_"), "bad", str(error), error.advice)


def _rights(_: Config, gateway: Gateway) -> Iterator[Check]:
    identity = gateway.identity()
    name = identity.user.username
    if identity.read_only:
        yield Check(
            "rights",
            "bad",
            f"{name}'s token is read-only",
            "tokens are read-only unless asked otherwise: make one without that box ticked",
        )
    else:
        unknown = identity.read_only is None
        yield Check("rights", "good", f"{name}{' (password login)' if unknown else ', may write'}")


def _project(config: Config, gateway: Gateway) -> Iterator[Check]:
    if config.cvat.project is None:
        seen = ", ".join(f"{p.id} {p.name}" for p in gateway.projects()[:10]) or "none"
        yield Check("project", "bad", f"none is set; seen: {seen}", "set cvat.project")
        return
    project = gateway.project(config.cvat.project)
    yield Check("project", "good", f"{project.id} {project.name}")
    labels = gateway.labels(project_id=project.id)
    able = [label for label in labels if label.type in LEARNABLE]
    rest = [f"{label.name} ({label.type})" for label in labels if label.type not in LEARNABLE]
    if not able:
        yield Check(
            "labels",
            "bad",
            "no label can be learnt" + (f": {', '.join(rest)}" if rest else ", there is none"),
            "add a label of type rectangle, polygon, mask or any",
        )
    elif rest:
        yield Check("labels", "warning", f"learnt: {len(able)}; left out: {', '.join(rest)}")
    else:
        yield Check("labels", "good", ", ".join(label.name for label in able))
    yield from _shown(config, project.id, labels)


def _shown(config: Config, project: int, labels: Sequence[Label]) -> Iterator[Check]:
    """Tell of labels that a model shows and the project has no longer: CVAT maps by name."""
    host = config.function_host
    store = host.store or Home.of(config).functions
    try:
        lost = gone(store, project, host.function_id, labels)
    except StoreError:
        return  # told of the function host
    for function, names in lost.items():
        yield Check(
            "labels of models",
            "warning",
            f"{function} shows {', '.join(names)}, which the project no longer has (renamed or"
            " deleted): nothing of it reaches people",
            "`cvat-bridge run` publishes it again at its next look; at once: `cvat-bridge promote`"
            " with the version that serves",
        )


def _assignees(config: Config, gateway: Gateway) -> Iterator[Check]:
    if not config.rounds.assignees:
        yield Check("assignees", "good", "none: people take the ranked jobs themselves")
        return
    try:
        check_assignees(
            gateway,
            settings=round_settings(config),
            organization=config.cvat.organization,
            project_id=config.cvat.project,
        )
    except ConfigError as error:
        yield Check("assignees", "bad", str(error), "until then: `rounds: {assignees: []}`")
    else:
        yield Check("assignees", "good", ", ".join(map(str, config.rounds.assignees)))


def _webhook(config: Config, gateway: Gateway) -> Iterator[Check]:
    target = config.service.public_url
    if target is None:
        yield Check(
            "webhook",
            "warning",
            f"none: finished jobs are seen by polling, every {config.service.poll_seconds:g} s",
            "set service.public_url to an address CVAT can reach, then run `cvat-bridge init`",
        )
        return
    hook = next(
        (h for h in gateway.webhooks(config.project_id) if h.target_url.startswith(target)), None
    )
    if hook is None:
        yield Check("webhook", "bad", f"CVAT has none to {target}", "run `cvat-bridge init`")
        return
    status = gateway.ping_webhook(hook.id)
    if 200 <= status < 300:
        yield Check("webhook", "good", f"{hook.target_url} answered {status}")
    elif status == 407:
        yield Check(
            "webhook",
            "bad",
            "CVAT's proxy refuses private addresses (407)",
            'allow it: SMOKESCREEN_OPTS="--allow-address=<ip of the bridge>" on CVAT\'s server '
            "and its webhook worker (see deploy/)",
        )
    else:
        yield Check(
            "webhook",
            "bad",
            f"{hook.target_url} gave CVAT {status or 'no answer'}",
            "is `cvat-bridge run` up, and can CVAT's container reach that address?",
        )


def _host(config: Config) -> Check:
    """Ask the host what it lists; the store must be the one that it reads."""
    url = f"{config.function_host.url}/api/functions"
    store = config.function_host.store or Home.of(config).functions
    start = f"`cvat-functions --store {store}`"
    try:
        answer = httpx.get(url, timeout=HOST_SECONDS)
        answer.raise_for_status()
        listed = list(answer.json())
    except (httpx.HTTPError, ValueError) as error:
        return Check(
            "function host",
            "bad",
            f"{url}: {type(error).__name__}",
            f"start it: {start}, or correct function_host.url",
        )
    try:
        missing = [entry.id for entry in entries(store) if entry.id not in listed]
    except StoreError as error:
        return Check("function host", "bad", str(error), "let this user read the store")
    if missing:
        return Check(
            "function host",
            "bad",
            f"{store} holds {', '.join(missing)}, which {url} does not list",
            f"either it reads another folder: start it with {start}; or it holds them back, which "
            "its log tells",
        )
    return Check("function host", "good", ", ".join(listed) or "no function yet")


def _functions(config: Config, gateway: Gateway) -> Iterator[Check]:
    try:
        seen = {function.id for function in gateway.functions()}
    except GatewayError as error:
        yield Check(
            "models in CVAT",
            "warning",
            str(error),
            "point CVAT at the function host: CVAT_NUCLIO_HOST, CVAT_NUCLIO_PORT and "
            "CVAT_NUCLIO_INVOKE_METHOD=dashboard (see deploy/)",
        )
        return
    function = config.function_host.function_id
    if function in seen:
        yield Check("models in CVAT", "good", f"{function} is listed")
    else:
        yield Check(
            "models in CVAT", "warning", f"{function} is not listed (it is after a first promotion)"
        )


def _backend(name: str) -> Check:
    absent = [n for n in BACKEND_NEEDS.get(name, ()) if importlib.util.find_spec(n) is None]
    if absent:
        extra = "yolo" if "ultralytics" in absent else "train"
        return Check(
            "backend",
            "bad",
            f"{name} needs {', '.join(absent)}",
            f"pip install 'cvat-active-learning[{extra}]'",
        )
    return Check("backend", "good", name)


def _disk(home: Path) -> Check:
    place = home
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / (1 << 30):.1f} GiB free at {place}"
    if free < LEAST_DISK:
        return Check("disk", "bad", text, "free some, or move `home` to a larger disk")
    return Check("disk", "good", text)
