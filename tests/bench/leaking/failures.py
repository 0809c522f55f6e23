"""What is provoked: at least sixty failures, each through a command or a port that people use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.leaking.watching import USER
from tests.fakes.scripted import Answer, Asked

TOKEN = "canary-token-Zk3Q9"
PASSWORD = "canary+pass/word-Zk3Q9"
WEBHOOK = "canary-webhook-Zk3Q9"
SECRETS = (TOKEN, PASSWORD, WEBHOOK)
DEAD = "127.0.0.1:9"
IN_URL = f"{USER}:{PASSWORD.replace('/', '%2F').replace('+', '%2B')}"
CLI = ("-m", "cvat_bridge.cli")
HOST = ("-m", "serverless.host", "--store", "store", "--port", "0")
TRAINER = ("-m", "trainer")

Reply = Callable[[Asked], Answer]


@dataclass(frozen=True)
class Failure:
    """One of them.

    arguments: of Python. config: of cvat-bridge.yaml, with {cvat} and {other} for the addresses of
    two servers, which answer with `reply`. environment: {other} as well. asks: what is asked of
    the process once it says where it listens: path, method, headers. expected: whether it ends by
    itself with a failure; a service runs until it is asked.
    """

    name: str
    arguments: Sequence[str]
    config: str = "home: home\ncvat: {{url: '{cvat}', project: 1}}\n"
    environment: Mapping[str, str] = field(default_factory=dict)
    reply: Reply = lambda _asked: Answer(500, b"")
    asks: Sequence[tuple[str, str, Mapping[str, str]]] = ()

    @property
    def runs(self) -> bool:
        """Whether it is a service, which does not end by itself."""
        return bool(self.asks)


def failures() -> Iterator[Failure]:
    """Yield all of them."""
    yield from _answers_of_cvat()
    yield from _sign_ins()
    yield from _faults_of_configuration()
    yield from _other_servers()
    yield from _services()


def _told(asked: Asked) -> str:
    """Return what a server knows of its caller, as some print it in their errors."""
    return json.dumps(dict(asked.headers) | {"body": asked.body.decode("utf-8", "replace")})


def _mlflow_refuses(asked: Asked) -> Answer:
    return Answer(401, {"error_code": "UNAUTHENTICATED", "message": _told(asked)})


def _page(asked: Asked) -> bytes:
    return f"<html><body><pre>{_told(asked)}</pre></body></html>".encode()


_REPLIES: Mapping[str, Reply] = {
    "400 with the request in it": lambda a: Answer(400, {"detail": _told(a)}),
    "401 with the token in it": lambda a: Answer(401, {"detail": f"Invalid token {TOKEN}"}),
    "403 with the request in it": lambda a: Answer(403, {"detail": _told(a)}),
    "404 with the request in it": lambda a: Answer(404, {"detail": _told(a)}),
    "407 of a proxy": lambda a: Answer(407, _page(a)),
    "500 with a page of the request": lambda a: Answer(500, _page(a)),
    "200 with a page of the request": lambda a: Answer(200, _page(a)),
    "200 with another form": lambda a: Answer(200, {"version": _told(a), "results": TOKEN}),
    "200 with half a body": lambda a: Answer(200, _told(a)[:-5].encode()),
    "a redirect with the token": lambda a: Answer(
        302, b"", {"Location": f"http://{DEAD}/login?token={TOKEN}"}
    ),
    "no answer": lambda a: Answer(hang_up=True),
}
_COMMANDS: Mapping[str, Sequence[str]] = {
    "doctor": ("doctor",),
    "dry round": ("round", "--dry-run"),
    "select": ("select",),
}


def _answers_of_cvat() -> Iterator[Failure]:
    signed = {"CVAT_ACCESS_TOKEN": TOKEN}
    for kind, reply in _REPLIES.items():
        for name, command in _COMMANDS.items():
            yield Failure(f"{name}: {kind}", (*CLI, *command), environment=signed, reply=reply)
    for kind in ("401 with the token in it", "200 with a page of the request", "no answer"):
        command = (*CLI, "init", "--url", "{cvat}/projects/1")
        yield Failure(f"init: {kind}", command, "", signed, _REPLIES[kind])
        for name, words in {"train": ("train", "--task", "3"), "round": ("round",)}.items():
            yield Failure(
                f"{name}: {kind}", (*CLI, *words), environment=signed, reply=_REPLIES[kind]
            )


def _sign_ins() -> Iterator[Failure]:
    login = {"CVAT_USERNAME": USER, "CVAT_PASSWORD": PASSWORD}
    for kind in ("400 with the request in it", "500 with a page of the request", "no answer"):
        yield Failure(
            f"a password: {kind}", (*CLI, "doctor"), environment=login, reply=_REPLIES[kind]
        )
    for kind, value in {
        "two lines": f"{TOKEN}\n{TOKEN}",
        "a space": f"{TOKEN} x",
        "a letter beyond ASCII": f"{TOKEN}é",
        "quotes": f'"{TOKEN} "',
    }.items():
        told = {"CVAT_ACCESS_TOKEN": value}
        yield Failure(f"a token with {kind}", (*CLI, "doctor"), environment=told)
    yield Failure(
        "a token where a file was meant",
        (*CLI, "doctor"),
        environment={"CVAT_ACCESS_TOKEN_FILE": f"/nowhere/{TOKEN}"[:9]},
    )


def _faults_of_configuration() -> Iterator[Failure]:
    signed = {"CVAT_ACCESS_TOKEN": TOKEN}
    well = "cvat: {{url: '{cvat}', project: 1}}\n"
    for name, config in {
        "a password in cvat.url": f"cvat: {{{{url: 'http://{IN_URL}@{DEAD}', project: 1}}}}\n",
        "a password in a wrong cvat.url": f"cvat: {{{{url: 'ftp://{IN_URL}@{DEAD}'}}}}\n",
        "a password before a wrong port": f"cvat: {{{{url: 'http://{IN_URL}@x:port'}}}}\n",
        "a password in public_url": f"{well}service: {{{{public_url: 'http://{IN_URL}@x.y'}}}}\n",
        "a password in function_host.url": f"{well}function_host: {{{{url: 'http://{IN_URL}@x'}}}}\n",
        "a password in an unknown database": f"{well}database_url: 'nosql://{IN_URL}@{DEAD}/x'\n",
        "a password in an unknown mlflow_url": f"{well}mlflow_url: 'gopher://{IN_URL}@{DEAD}'\n",
        "an address in the wrong place": f"{well}home: 'http://{IN_URL}@{DEAD}/x'\nhomes: 1\n",
        "broken YAML beside a password": f"mlflow_url: 'http://{IN_URL}@{DEAD}\ncvat: [\n",
        "an address that is a list": f"{well}mlflow_url: ['http://{IN_URL}@{DEAD}']\n",
    }.items():
        yield Failure(f"check: {name}", (*CLI, "check"), config, signed)
    ca = "cvat: {{url: 'https://" + DEAD + "', project: 1, ca_bundle: 'none.pem'}}\n"
    yield Failure("a missing certificate", (*CLI, "doctor"), ca, signed)


def _other_servers() -> Iterator[Failure]:
    signed = {"CVAT_ACCESS_TOKEN": TOKEN}
    well = "home: home\ncvat: {{url: '{cvat}', project: 1}}\n"
    dead = f"{well}mlflow_url: 'http://{IN_URL}@{DEAD}'\n"
    other = f"{well}mlflow_url: 'http://{IN_URL}@{{other}}'\n"
    base = f"{well}database_url: 'postgresql://{IN_URL}@{DEAD}/rounds'\n"
    quick = {**signed, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    yield Failure("models: MLflow is dead", (*CLI, "models", "list"), dead, quick)
    yield Failure("promote: MLflow is dead", (*CLI, "promote", "3"), dead, quick)
    for kind in ("401 with the token in it", "500 with a page of the request"):
        told = {**quick, "MLFLOW_TRACKING_TOKEN": PASSWORD}
        yield Failure(
            f"models: MLflow, {kind}", (*CLI, "models", "list"), other, told, _REPLIES[kind]
        )
    yield Failure(
        "models: MLflow, refused", (*CLI, "models", "list"), other, quick, _mlflow_refuses
    )
    page = _REPLIES["200 with a page of the request"]
    yield Failure("models: MLflow, a page", (*CLI, "models", "show", "x"), other, quick, page)
    for name, command in {"round": ("round",), "status": ("status",), "run": ("run",)}.items():
        yield Failure(f"{name}: the database is dead", (*CLI, *command), base, quick)
    for name, proxy in {
        "dead": f"http://{IN_URL}@{DEAD}",
        "407": f"http://{IN_URL}@{{other}}",
        "no address": f"http://{IN_URL}@:port",
    }.items():
        told = {**signed, "HTTP_PROXY": proxy, "http_proxy": proxy}
        config = "home: home\ncvat: {{url: 'http://cvat.example.org', project: 1}}\n"
        reply = _REPLIES["407 of a proxy"]
        yield Failure(f"a proxy: {name}", (*CLI, "doctor"), config, told, reply)
    login = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD, **quick}
    nothing = Answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"})
    for name, where, reply in (
        ("is dead", DEAD, lambda _: nothing),
        ("knows nothing", "{other}", lambda _: nothing),
        ("prints what it was sent", "{other}", _mlflow_refuses),
        ("answers with a page", "{other}", _REPLIES["500 with a page of the request"]),
    ):
        command = (*TRAINER, "show", "best", "--mlflow", f"http://{IN_URL}@{where}")
        yield Failure(f"trainer: a registry that {name}", command, "", login, reply)


def _services() -> Iterator[Failure]:
    signed = {"CVAT_ACCESS_TOKEN": TOKEN, "CVAT_BRIDGE_WEBHOOK_SECRET": WEBHOOK}
    named = {"x-nuclio-function-name": "no-such"}
    seen = (("/api/functions", "GET", {}), ("/status", "GET", {}), ("/metrics", "GET", {}))
    called = ("/api/function_invocations", "POST", named)
    for name, upstream in {"is dead": DEAD, "answers 500": "{other}"}.items():
        told = {"CVAT_FUNCTIONS_UPSTREAM": f"http://{IN_URL}@{upstream}"}
        reply = _REPLIES["500 with a page of the request"]
        yield Failure(f"host: the Nuclio behind {name}", HOST, "", told, reply, (*seen, called))
    port = "service: {{port: {port}}}\n"
    well = "home: home\ncvat: {{url: '{cvat}', project: 1}}\n" + port
    forged = ("/webhooks/cvat", "POST", {"x-signature-256": f"sha256={WEBHOOK}"})
    looked = (("/healthz", "GET", {}), ("/status", "GET", {}), ("/metrics", "GET", {}), forged)
    for kind in ("401 with the token in it", "500 with a page of the request"):
        yield Failure(f"run: {kind}", (*CLI, "run"), well, signed, _REPLIES[kind], looked)
