"""The one YAML file: read once at the edge, every fault reported at once, secrets kept apart."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    SecretStr,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from active_learning.settings import SelectionSettings
from cvat_bridge.errors import ConfigError
from cvat_bridge.secrecy import clean_password, clean_token, remember, remember_address
from cvat_bridge.suggestions import did_you_mean
from trainer.backends.fit_checks import device_name, range_faults
from trainer.calibration.worth import OUTLINE_SECONDS, OutlineSeconds
from trainer.data.files import parse_yaml
from trainer.data.fingerprints import WITHIN
from trainer.data.texts import read_text
from trainer.detector import AUTOMATIC, FitConfig
from trainer.gate.gate_settings import GateSettings
from trainer.renamed import renamed
from trainer.terminal import without_credentials

ANY_DEVICE = "any"  # whichever worker is free, on its own device
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Score = Annotated[float, Field(ge=0.0, le=1.0)]


def _address(url: str) -> str:
    """Refuse what is no HTTP address of a server; the message repeats no secret."""
    parts = urlsplit(url)
    _ = parts.port  # ValueError for one that is no number
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with http:// or https://")
    if not parts.hostname:
        raise ValueError("names no host")
    if "@" in parts.netloc:
        raise ValueError(
            "must not hold a user or password; credentials are read from the environment "
            "(CVAT_ACCESS_TOKEN, or CVAT_USERNAME and CVAT_PASSWORD)"
        )
    if parts.query or parts.fragment:
        raise ValueError("ends with a query or fragment, which is no part of a server's address")
    return url


# Section -> keys of version 0.1, old name to new: read for one version more, with a FutureWarning.
RENAMED_KEYS: Mapping[str, Mapping[str, str]] = {
    "active_learning": {
        "believed": "min_confidence",
        "warm_up": "control_warmup_frames",
        "empty_place": "empty_frame_quantile",
    },
    "promotion": {"min_first": "min_first_metric"},
}

Address = Annotated[str, AfterValidator(_address)]


def _store(address: str | None) -> str | None:
    """Refuse an address with a password in it, which would stand in logs and in copies."""
    if address is not None and "@" in urlsplit(address).netloc:
        raise ValueError(
            "must not hold a user or password; credentials are read from the environment "
            "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
        )
    if address is not None and not address.strip():
        raise ValueError("must be a folder or s3://bucket/path, or null")
    return address


def _prefix(path: str) -> str:
    """Return a path of plain words, "" for the server's root, without the slash at its end."""
    plain = path.strip().rstrip("/")
    if plain and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", plain):
        raise ValueError("must be a path of plain words such as /learning, or empty")
    if plain.startswith(("/webhooks", "/api", "/status", "/metrics", "/healthz")):
        raise ValueError(f"{plain} is an address of the service itself; take another one")
    return plain


class Section(BaseModel):
    """A part of the file: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class CvatSection(Section):
    """Where CVAT is and which project the loop serves."""

    model_config = ConfigDict(str_strip_whitespace=True)

    url: Address = "http://localhost:8080"
    project: int | None = None
    organization: str | None = None
    ca_bundle: Path | None = None  # PEM; the system's authorities unless set
    timeout: float = Field(60.0, gt=0)
    cache_bytes: int = Field(2 << 30, ge=1 << 20)


@dataclass(frozen=True)
class SelectionSection(SelectionSettings):
    """What a round takes from the pool: how frames are chosen, and how many.

    budget: frames of a round. seed: of the random draws. candidate_score: the lowest score of an
    object that is kept for choosing.
    """

    budget: Annotated[int, Field(ge=1)] = 50
    seed: int = FitConfig.seed
    candidate_score: Score = 0.05


@dataclass(frozen=True)
class HoldoutSection:
    """The held-out frames: the ground-truth jobs' where there are any, else a frozen share."""

    share: Annotated[float, Field(ge=0.0, le=0.9)] = 0.2
    subsets: tuple[str, ...] = ("holdout",)
    salt: str = ""
    duplicate_distance: Annotated[int, Field(ge=0, le=64)] = WITHIN


@dataclass(frozen=True)
class TrainerSection(FitConfig):
    """How a challenger is learnt, as `trainer fit` has it, and when.

    warm_start: begin with the model that serves. min_frames: with fewer labelled ones nothing is
    learnt.
    """

    min_frames: Annotated[int, Field(ge=2)] = 8
    warm_start: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> TrainerSection:
        """Return the section of these keys; pydantic's ValidationError tells every fault."""
        return _TRAINER.validate_python(values)

    @property
    def here(self) -> TrainerSection:
        """The settings of a fit on this machine: any device is its processor."""
        return dataclasses.replace(self, device="cpu") if self.device == ANY_DEVICE else self

    @property
    def shown(self) -> dict[str, Any]:
        """All keys as JSON values, None for what is the backend's choice."""
        unset = dict.fromkeys(self.automatic)
        return {k: v for k, v in {**self.to_json(), **unset}.items() if k != "automatic"}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        keys = handler.resolve_ref_schema(schema)["properties"]
        del keys["automatic"]
        for name in AUTOMATIC:
            kind = {k: v for k, v in keys[name].items() if k != "default"}
            kinds = kind.get("anyOf", [kind, {"type": "null"}])
            keys[name] = {"anyOf": kinds, "default": None}
        return schema


def _trainer_keys(given: Any) -> Any:
    """Note which keys are not set, so that a backend may choose their values from the data."""
    if not isinstance(given, Mapping):
        return given
    if "automatic" in given:
        raise ValueError("automatic: unknown key")
    values = {key: value for key, value in given.items() if value is not None}
    if "device" in values:
        values["device"] = device_name(values["device"])
    return {**values, "automatic": AUTOMATIC - values.keys()}


def _in_range(section: TrainerSection) -> TrainerSection:
    if faults := range_faults(section.here):
        raise ValueError("\n".join(faults))
    return section


_Keys = Annotated[TrainerSection, BeforeValidator(_trainer_keys)]
_TRAINER: TypeAdapter[TrainerSection] = TypeAdapter(_Keys)


@dataclass(frozen=True)
class RoundSection:
    """When a round begins, and how its frames come back to people."""

    mode: Literal["new_task", "rank_existing"] = "new_task"
    finished_stage: Literal["annotation", "validation", "acceptance"] = "annotation"
    retrain_after: Annotated[int, Field(ge=1)] = 20
    job_size: Annotated[int, Field(ge=1)] = 10
    job_list: Literal["newest_first", "oldest_first"] = "newest_first"
    assignees: tuple[StrictInt | StrictStr, ...] = ()
    mark_source_deleted: bool = False
    guide: bool = True
    subset: str = ""


class PreAnnotationSection(Section):
    """Which of the model's objects are put before people.

    min_score: "auto" is where a look is expected to be quicker than drawing, a label at a time.
    """

    enabled: bool = True
    by_class: bool = True
    min_score: Score | Literal["auto"] = "auto"
    min_scores: dict[str, Score] = Field(default_factory=dict)
    outline: OutlineSeconds = OUTLINE_SECONDS


class SavingsSection(Section):
    """How it is measured what pre-annotation saves.

    control_every: of so many jobs one goes out without pre-annotation, 0 for none. hourly_rate:
    what an hour of an annotator costs; no money is shown unless it is set.
    """

    control_every: int = Field(10, ge=0)
    hourly_rate: float | None = Field(None, ge=0)
    currency: str = Field("EUR", max_length=12)


class InteractorSection(Section):
    """The extreme-points tool learns the project's own masks and polygons."""

    learn: bool = True
    time_limit: float = Field(600.0, gt=0)


class ServiceSection(Section):
    """The bridge's own process."""

    model_config = ConfigDict(str_strip_whitespace=True)

    host: str = "127.0.0.1"
    listen_anyway: bool = False
    port: int = Field(8091, ge=0, le=65535)
    public_url: Address | None = None
    poll_seconds: float = Field(60.0, gt=0)


class PageSection(Section):
    """The manager's page, which the service serves beside the webhook.

    prefix: path below which it lies, as the reverse proxy in front has it. public_url: where a
    browser finds it, with that path. cvat_url: where a browser finds CVAT. upload_gb: largest file
    of weights that is taken from a browser.
    """

    model_config = ConfigDict(str_strip_whitespace=True)

    enabled: bool = True
    prefix: Annotated[str, AfterValidator(_prefix)] = "/learning"
    public_url: Address | None = None
    cvat_url: Address | None = None
    session_hours: float = Field(12.0, gt=0)
    upload_gb: float = Field(2.0, gt=0)


class FunctionHostSection(Section):
    """The process that answers CVAT in Nuclio's place."""

    model_config = ConfigDict(str_strip_whitespace=True)

    url: Address = "http://127.0.0.1:8070"
    function_id: str = "champion"
    name: str | None = None
    store: Path | None = None  # the folder it reads; `functions` in home unless set


class ProjectSection(Section):
    """One project of several, and what it has otherwise than the others.

    Each section holds the keys that differ; what it leaves out is as for all projects.
    """

    id: int = Field(ge=1)
    paused: bool = False
    organization: str | None = None
    active_learning: dict[str, Any] = Field(default_factory=dict)
    holdout: dict[str, Any] = Field(default_factory=dict)
    trainer: dict[str, Any] = Field(default_factory=dict)
    promotion: dict[str, Any] = Field(default_factory=dict)
    rounds: dict[str, Any] = Field(default_factory=dict)
    pre_annotation: dict[str, Any] = Field(default_factory=dict)
    savings: dict[str, Any] = Field(default_factory=dict)
    interactor: dict[str, Any] = Field(default_factory=dict)
    function_host: dict[str, Any] = Field(default_factory=dict)


class Config(Section):
    """The effective configuration: of one project, or with `projects` of all of them."""

    home: Path = Path(".cvat-bridge")
    library: Path | None = None
    projects: tuple[ProjectSection, ...] = ()
    cvat: CvatSection = CvatSection()
    active_learning: SelectionSection = SelectionSection()
    holdout: HoldoutSection = HoldoutSection()
    trainer: Annotated[
        _Keys, AfterValidator(_in_range), PlainSerializer(lambda section: section.shown)
    ] = TrainerSection(automatic=AUTOMATIC)
    promotion: GateSettings = GateSettings()
    rounds: RoundSection = RoundSection()
    pre_annotation: PreAnnotationSection = PreAnnotationSection()
    savings: SavingsSection = SavingsSection()
    interactor: InteractorSection = InteractorSection()
    service: ServiceSection = ServiceSection()
    page: PageSection = PageSection()
    function_host: FunctionHostSection = FunctionHostSection()
    store: Annotated[str | None, AfterValidator(_store)] = None  # artefacts; all in home unless set
    database_url: str | None = None  # all records; SQLite in home unless set
    mlflow_url: str | None = None  # MLflow; SQLite in home unless set

    @property
    def hash(self) -> str:
        """A short name of exactly these settings, for ledger rows and model cards."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def project_id(self) -> int:
        """The project the loop serves; ConfigError where none is set."""
        if self.cvat.project is None and self.projects:
            raise ConfigError(["which project is meant? Name it: cvat-bridge --project ID …"])
        if self.cvat.project is None:
            raise ConfigError(["cvat.project: no project is set; run `cvat-bridge init`"])
        return self.cvat.project


class Secrets(BaseModel):
    """What must never stand in a file or a log. Read from the environment alone."""

    model_config = ConfigDict(frozen=True)

    access_token: SecretStr | None = None
    username: str | None = None
    password: SecretStr | None = None
    webhook_secret: SecretStr | None = None


ENVIRONMENT = {
    "access_token": "CVAT_ACCESS_TOKEN",
    "username": "CVAT_USERNAME",
    "password": "CVAT_PASSWORD",
    "webhook_secret": "CVAT_BRIDGE_WEBHOOK_SECRET",
}


def load_secrets(environ: Mapping[str, str] = os.environ) -> Secrets:
    """Read the secrets; ConfigError when there is no way to log in, or a token cannot be one.

    A variable of the same name with _FILE holds the path of a file with the secret (as Docker and
    Kubernetes mount them). Line ends, white space and byte-order marks around a token are no part
    of it.
    """
    found: dict[str, str | None] = {}
    for key, name in ENVIRONMENT.items():
        value = environ.get(name) or _from_file(f"{name}_FILE", environ)
        found[key] = (
            clean_password(value)
            if key in ("password", "webhook_secret")
            else clean_token(name, value)
            if key == "access_token"
            else (value or "").strip("\ufeff\x00 \t\r\n") or None
        )
    remember(found["access_token"], found["password"], found["webhook_secret"])
    if not found["access_token"] and not (found["username"] and found["password"]):
        raise ConfigError(
            [
                (
                    "no credentials: set CVAT_ACCESS_TOKEN (a personal access token that may write)"
                    " or CVAT_ACCESS_TOKEN_FILE (a file that holds it), or CVAT_USERNAME and "
                    "CVAT_PASSWORD"
                ),
            ]
        )
    return Secrets.model_validate(found)


def _from_file(name: str, environ: Mapping[str, str]) -> str | None:
    path = environ.get(name)
    if not path:
        return None
    try:
        return Path(path.strip()).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigError([f"{name}: {path.strip()} cannot be read: {reason}"]) from None


def config_help() -> dict[str, Any]:
    """Return what each key means, nested as the file is."""
    path = Path(__file__).with_name("config-help.yaml")
    return dict(parse_yaml(path.read_text(encoding="utf-8")))


def config_schema() -> dict[str, Any]:
    """Return the JSON schema of the file; an editor that has it completes and explains keys."""
    schema = Config.model_json_schema()

    def describe(part: dict[str, Any], texts: Mapping[str, Any]) -> None:
        for name, text in texts.items():
            key = part["properties"][name]
            if isinstance(text, str):
                key["description"] = text
            else:
                describe(schema["$defs"][key["$ref"].rpartition("/")[2]], text)

    describe(schema, config_help())
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "cvat-bridge.yaml"}
    return {**schema, **head}


def load_config(path: Path) -> Config:
    """Read the file; ConfigError lists every fault with its place, what it found and what is due.

    Relative paths in the file are relative to the file, whatever folder a command is typed in:
    home, store, cvat.ca_bundle, function_host.store, trainer.base, the file of a sqlite:/// URL,
    and a text in trainer.extra that names a file beside the configuration. "~" is the user's own
    folder.
    """
    try:
        config = Config.model_validate(read_mapping(path))
    except ValidationError as error:
        raise ConfigError(faults_of(path, error)) from error
    return resolved(path, config)


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the file's sections as they stand; ConfigError for what is no YAML of sections."""
    try:
        text = read_text(path)
    except OSError as error:
        raise ConfigError(
            [f"{path}: cannot be read ({error.strerror}); `cvat-bridge init` writes one"]
        ) from error
    try:
        raw = parse_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: not YAML: {error}"]) from error
    if isinstance(raw, dict):
        for key in ("mlflow_url", "database_url"):
            remember_address(raw[key] if isinstance(raw.get(key), str) else None)
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise ConfigError([f"{path}: expected sections, found {type(raw).__name__}"])
    return current_keys(path, raw)


def current_keys(path: Path, sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections with the keys of version 0.1 under their names of today."""
    found = dict(sections)
    for name, names in RENAMED_KEYS.items():
        if isinstance(found.get(name), dict):
            found[name] = renamed(found[name], names, where=f"{path}: {name}")
    return found


def resolved(path: Path, config: Config) -> Config:
    """Return the configuration with its relative paths as paths beside the file."""
    folder = path.resolve().parent
    return config.model_copy(
        update={
            "home": _absolute(folder, config.home),
            "library": _absolute(folder, config.library),
            "cvat": config.cvat.model_copy(
                update={"ca_bundle": _absolute(folder, config.cvat.ca_bundle)}
            ),
            "store": _folder_or_address(folder, config.store),
            "database_url": _database(folder, config.database_url),
            "mlflow_url": _database(folder, config.mlflow_url),
            "function_host": config.function_host.model_copy(
                update={"store": _absolute(folder, config.function_host.store)}
            ),
            "trainer": dataclasses.replace(
                config.trainer,
                base=_absolute(folder, config.trainer.base),
                extra={k: _beside(folder, v) for k, v in config.trainer.extra.items()},
            ),
        }
    )


def _absolute(folder: Path, path: Path | None) -> Path | None:
    return None if path is None else (folder / path.expanduser()).resolve()


def _folder_or_address(folder: Path, address: str | None) -> str | None:
    """Return a store's address, with a folder as an absolute path."""
    if address is None or "://" in address:
        return address
    return str(_absolute(folder, Path(address)))


def _database(folder: Path, url: str | None) -> str | None:
    """Return an address of a database with the file of SQLite as an absolute path."""
    scheme, slashes, place = (url or "").partition(":///")
    relative = scheme.partition("+")[0] == "sqlite" and place and place[0] not in "/:"
    return f"{scheme}{slashes}{(folder / place).resolve()}" if relative else url


def _beside(folder: Path, value: Any) -> Any:
    """Return a backend's own setting; one that names a file beside the configuration as a path."""
    if not isinstance(value, str) or not value:
        return value
    path = folder / Path(value).expanduser()
    return str(path.resolve()) if path.is_file() else value


def faults_of(path: Path | str, error: ValidationError) -> list[str]:
    """Return a fault a key; where one of several types is due, pydantic gives one a type."""
    by_place: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for item in error.errors():
        one_of_many = str(item["loc"][-1]).partition("[")[0] in ("constrained-float", "literal")
        by_place.setdefault(item["loc"][:-1] if one_of_many else item["loc"], []).append(dict(item))
    faults = []
    for loc, items in by_place.items():
        if items[0]["type"] == "value_error" and len(loc) == 1:
            # A section that looks at itself gives a line a fault.
            lines = str(items[0]["ctx"]["error"]).splitlines()
            faults += [f"{path}: {loc[0]}.{line}" for line in lines]
            continue
        due = "; or: ".join(dict.fromkeys(str(item["msg"]) for item in items))
        faults.append(_fault(path, {**items[0], "loc": loc, "msg": due}))
    return faults


def wrong_keys(error: ValidationError) -> list[list[str]]:
    """Return the keys, outermost first, that an error is about."""
    found = []
    for item in error.errors():
        loc = [str(part) for part in item["loc"]]
        if item["type"] == "value_error" and len(loc) == 1:
            lines = str(item["ctx"]["error"]).splitlines()
            found += [[loc[0], re.split(r"\W", line, maxsplit=1)[0]] for line in lines]
        else:
            found.append(loc)
    return found


def _fault(path: Path | str, item: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        section = Config.model_fields.get(str(item["loc"][0])) if len(item["loc"]) > 1 else None
        known = tuple(Config.model_fields)
        if section is not None and isinstance(section.default, BaseModel):
            known = tuple(type(section.default).model_fields)
        elif section is not None and dataclasses.is_dataclass(section.default):
            known = tuple(field.name for field in dataclasses.fields(section.default))
        return f"{path}: {place}: unknown key; {did_you_mean(str(item['loc'][-1]), known)}"
    said = str(item["msg"]).removeprefix("Value error, ")
    return without_credentials(f"{path}: {place}: {said}, found {item['input']!r}")
