"""`cvat-bridge init`: a commented configuration, a home, and the webhook in CVAT."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader
from pydantic import TypeAdapter, ValidationError

from cvat_bridge.config import (
    Address,
    Config,
    CvatSection,
    Secrets,
    ServiceSection,
    load_config,
    load_secrets,
)
from cvat_bridge.cvat.connecting import connected
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.cvat.reachability import check_reachable
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from cvat_bridge.service.webhooks import WEBHOOK_PATH

TEMPLATE = "cvat-bridge.yaml.jinja"


_PROJECT_PAGE = re.compile(r"^(https?://[^/]+.*?)/projects/(\d+)(?:[/?#].*)?$")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def split_project_url(url: str) -> tuple[str, int | None]:
    """Return CVAT's address and the project of a page's address, as the browser shows it."""
    found = _PROJECT_PAGE.match(url.strip())
    return (found[1], int(found[2])) if found else (url.strip().rstrip("/"), None)


def set_up(
    path: Path,
    *,
    url: str,
    project: int | None,
    public_url: str | None,
    organization: str | None,
    force: bool,
    dry_run: bool,
    time_limit: float | None = None,
) -> Iterator[str]:
    """Look whether address, token and project are good, write the file, register the webhook.

    url: of CVAT, or of the project's page there. organization: its slug; None takes the
    project's own. time_limit: seconds a fit may take; None: as long as it needs. Gives a line for
    each thing done. Nothing is written before CVAT has shown the project. Raises ConfigError when
    the file is there already, or no project is named, and GatewayError when CVAT refuses; after a
    refusal of the webhook the file stays, and the same call with force goes on from there.
    """
    if path.exists() and not force:
        raise ConfigError([f"{path} is there already; --force replaces it"])
    url, pasted = split_project_url(url)
    project = project or pasted
    faults = [*_fault("--url", url), *_fault("--public-url", public_url)]
    if time_limit is not None and time_limit <= 0:
        faults.append(f"--time-limit: {time_limit:g} must be greater than 0 seconds")
    if faults:
        raise ConfigError(faults)
    secrets = load_secrets()
    check_reachable(url)
    with TemporaryDirectory() as scratch:
        looked = Config(home=Path(scratch), cvat=CvatSection(url=url, organization=organization))
        with connected(looked, secrets) as gateway:
            if project is None:
                seen = [f"  {found.id} {found.name}" for found in gateway.projects()]
                listed = "\n".join(seen) or "  none"
                raise ConfigError(
                    [f"--project: name the project the loop serves; the token sees\n{listed}"]
                )
            found = gateway.project(project)
            if organization is None and found.organization is not None:
                organization = gateway.organization_slug(found.organization)
    text = render(
        url=url,
        project=project,
        public_url=public_url,
        organization=organization,
        time_limit=time_limit,
        home=path.stem,
    )
    if dry_run:
        yield f"project {found.id} {found.name!r} is there"
        yield f"would write {path}:"
        yield text
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    yield f"project {found.id} {found.name!r} is there"
    if organization:
        yield f"it lives in the organization {organization!r}"
    yield f"wrote {path}"
    config = load_config(path)
    if public_url is None:
        yield "no --public-url: finished jobs are seen by polling"
    else:
        with connected(config, secrets) as gateway:
            yield add_webhook(gateway, config, project, secrets)
        yield f"the service will listen on {config.service.host}:{config.service.port}"
    yield f"next: `cvat-bridge doctor -c {path}`, then `cvat-bridge up -c {path}`"


def add_webhook(gateway: Gateway, config: Config, project: int, secrets: Secrets) -> str:
    """Let CVAT tell the service of changes in a project, where it has an address; say so."""
    public_url, secret = config.service.public_url, secrets.webhook_secret
    if public_url is None:
        return "no service.public_url: finished jobs are seen by polling"
    hook = gateway.ensure_webhook(
        project,
        public_url.rstrip("/") + WEBHOOK_PATH,
        secret.get_secret_value() if secret else Home.of(config).webhook_secret(),
    )
    return f"webhook {hook.id} tells {hook.target_url}"


def _fault(option: str, url: str | None) -> list[str]:
    """Return what the configuration will say of an address, under the option that gave it."""
    try:
        TypeAdapter(Address | None).validate_python(url)
    except ValidationError as error:
        return [f"{option}: {item['msg']!s}" for item in error.errors()]
    return []


def listening(public_url: str | None) -> tuple[str, int]:
    """Return host and port for the service, such that public_url can lead to it.

    A port in public_url is the service's own; without one a proxy stands before it. What is not
    on this machine's loopback is reached from outside, so the service listens on all addresses.
    """
    default = ServiceSection()
    parts = urlsplit(public_url or "")
    outside = parts.hostname is not None and parts.hostname not in LOOPBACK
    return ("0.0.0.0" if outside else default.host), parts.port or default.port  # noqa: S104


def render(
    *,
    url: str,
    project: int,
    public_url: str | None,
    organization: str | None,
    home: str,
    time_limit: float | None = None,
) -> str:
    """Return the commented file."""
    environment = Environment(
        loader=PackageLoader("cvat_bridge", "."),
        autoescape=False,  # noqa: S701 - the result is YAML, not a page
        keep_trailing_newline=True,
    )
    host, port = listening(public_url)
    return environment.get_template(TEMPLATE).render(
        url=url,
        project=project,
        public_url=public_url,
        organization=organization,
        time_limit=time_limit,
        home=home,
        host=host,
        port=port,
    )
