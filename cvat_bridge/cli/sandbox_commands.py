"""Commands for a first try: a stand-in for CVAT with something in it, and everything at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from cvat_bridge.errors import ConfigError
from cvat_bridge.secrecy import out

if TYPE_CHECKING:
    from cvat_bridge.config import Config


SANDBOX_PORT = 8099  # CVAT itself sits on 8080
_SECONDS = 3.0  # to see whether a function host answers already


def sandbox(
    data: Annotated[Path, typer.Option(help="Folder for its database and files.")] = Path(
        "sandbox-data"
    ),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = SANDBOX_PORT,
    function_host: Annotated[
        str | None, typer.Option(help="Address of a function host, for models.")
    ] = None,
    share: Annotated[Path | None, typer.Option(help="Folder offered as CVAT's share.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="With a project of made images, some of them labelled.")
    ] = False,
) -> None:
    """Run the small stand-in for a CVAT server, to try the loop without one."""
    from cvat_bridge.sandbox import running, serve

    if not demo:
        serve(
            data_dir=data,
            host=host,
            port=port,
            users=None,
            function_host=function_host,
            share=share,
        )
        return
    from cvat_bridge.demo.sample_project import next_steps, seed

    with running(data, port=port, function_host=function_host, share=share) as server:
        trial = seed(server, lambda text: out.print(f"{text} …", markup=False, highlight=False))
        for line in next_steps(server, trial, config=Path("trial/cvat-bridge.yaml")):
            out.print(line, markup=False, highlight=False)
        sys.stdout.flush()
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        ended.wait()


def add_up(app: typer.Typer, run: Callable[..., None]) -> None:
    """Add the command that starts everything. run: the one that serves."""

    @app.command()
    def up(
        config: Annotated[
            Path, typer.Option("--config", "-c", help="The YAML file that `init` writes.")
        ] = Path("cvat-bridge.yaml"),
        as_json: Annotated[bool, typer.Option("--json", help="Log in JSON lines.")] = False,
    ) -> None:
        """Start the function host and the service together, for a first try on one machine."""
        from cvat_bridge.config import load_config
        from cvat_bridge.home import Home
        from serverless.host.server import running as hosting

        loaded = load_config(config)
        address = urlsplit(loaded.function_host.url)
        if _answers(loaded):
            out.print(f"a function host answers at {loaded.function_host.url} already")
            run(config=config, as_json=as_json)
            return
        if address.hostname not in ("127.0.0.1", "localhost", "::1") or address.port is None:
            fault = (
                f"function_host.url: {loaded.function_host.url} does not answer, and `up` starts "
                "one on this machine alone: name http://127.0.0.1:<port>, or start "
                "`cvat-functions` there"
            )
            raise ConfigError([fault])
        home = Home.of(loaded)
        store = loaded.function_host.store or home.functions
        store.mkdir(parents=True, exist_ok=True)
        log = home.root / "function-host.log"
        # The web server ends by raising the signal again, which must not pass the host by.
        signal.signal(signal.SIGTERM, _leave)
        with hosting(store, host=address.hostname, port=address.port, log=log) as url:
            out.print(f"the function host answers at {url}; its log is {log}", highlight=False)
            run(config=config, as_json=as_json)


def _leave(*_: object) -> None:
    raise SystemExit(0)


def _answers(config: Config) -> bool:
    import httpx

    try:
        return httpx.get(f"{config.function_host.url}/healthz", timeout=_SECONDS).is_success
    except httpx.HTTPError:
        return False
