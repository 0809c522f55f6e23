"""`cvat-bridge init`: a commented configuration, a home, and the webhook in CVAT."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, PackageLoader

from cvat_bridge.config import load_config, load_secrets
from cvat_bridge.cvat.connecting import connected
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from cvat_bridge.service.webhooks import WEBHOOK_PATH

TEMPLATE = "cvat-bridge.yaml.jinja"


def set_up(
    path: Path,
    *,
    url: str,
    project: int,
    public_url: str | None,
    organization: str | None,
    force: bool,
    dry_run: bool,
) -> Iterator[str]:
    """Write the file, then register the webhook; gives a line for each thing done.

    Raises ConfigError when the file is there already, GatewayError when CVAT refuses; the file
    that was written stays, and the same call with force goes on from there.
    """
    if path.exists() and not force:
        raise ConfigError([f"{path} is there already; --force replaces it"])
    text = render(
        url=url, project=project, public_url=public_url, organization=organization, home=path.stem
    )
    if dry_run:
        yield f"would write {path}:"
        yield text
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    yield f"wrote {path}"
    config, secrets = load_config(path), load_secrets()
    with connected(config, secrets) as gateway:
        found = gateway.project(project)
        yield f"project {found.id} {found.name!r} is there"
        if public_url is None:
            yield "no --public-url: finished jobs are seen by polling"
            return
        secret = secrets.webhook_secret
        hook = gateway.ensure_webhook(
            project,
            public_url.rstrip("/") + WEBHOOK_PATH,
            secret.get_secret_value() if secret else Home(config.home).webhook_secret(),
        )
        yield f"webhook {hook.id} tells {hook.target_url}"
    yield "next: `cvat-bridge doctor`, then `cvat-bridge run`"


def render(
    *, url: str, project: int, public_url: str | None, organization: str | None, home: str
) -> str:
    """Give the commented file."""
    environment = Environment(
        loader=PackageLoader("cvat_bridge", "."),
        autoescape=False,  # noqa: S701 - the result is YAML, not a page
        keep_trailing_newline=True,
    )
    return environment.get_template(TEMPLATE).render(
        url=url, project=project, public_url=public_url, organization=organization, home=home
    )
