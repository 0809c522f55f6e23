"""The one YAML file: read once at the edge, every fault reported at once, secrets kept apart."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from active_learning.measures.cost import CostModel
from cvat_bridge.errors import ConfigError
from cvat_bridge.secrecy import clean_password, clean_token, remember, without_userinfo
from trainer.calibration.worth import OUTLINE_SECONDS

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Score = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of the file: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class CvatSection(Section):
    """Where CVAT is and which project the loop serves."""

    model_config = ConfigDict(str_strip_whitespace=True)

    url: str = "http://localhost:8080"
    project: int | None = None
    organization: str | None = None
    ca_bundle: Path | None = None  # PEM; the system's authorities unless set
    timeout: float = Field(60.0, gt=0)
    cache_bytes: int = Field(2 << 30, ge=1 << 20)

    @model_validator(mode="after")
    def _full_address(self) -> CvatSection:
        if not self.url.startswith(("http://", "https://")):
            shown = without_userinfo(self.url)
            raise ValueError(f"url must begin with http:// or https://, found {shown!r}")
        if "@" in urlsplit(self.url).netloc:
            raise ValueError(
                "url must not hold a user or password: give them as CVAT_ACCESS_TOKEN, or as "
                "CVAT_USERNAME and CVAT_PASSWORD"
            )
        return self


class CostSection(Section):
    """Seconds of a person: to open a frame, and per object to verify, fix, add or delete."""

    frame: float = Field(CostModel.frame, gt=0)
    verify: float = Field(CostModel.verify, ge=0)
    fix: float = Field(CostModel.fix, ge=0)
    add: float = Field(CostModel.add, ge=0)
    delete: float = Field(CostModel.delete, ge=0)
    shown_from: Score = CostModel.shown_from


class SelectionSection(Section):
    """What a round takes from the pool."""

    strategy: str = "auto"
    budget: int = Field(50, ge=1)
    seed: int = 7
    control_share: Share = 0.10
    weak_share: Share = 0.40
    warm_up: int = Field(30, ge=0)
    cap_per_group: int | None = Field(None, ge=1)
    cold_start: str = "typiclust"
    min_labelled: int = Field(0, ge=0)
    class_need: float = Field(1.0, ge=0)
    class_quotas: dict[str, int] = Field(default_factory=dict)
    near_duplicate: float | None = Field(0.05, ge=0)
    candidates: float | None = Field(2.0, ge=1)
    believed: Score = 0.3
    k: int = Field(3, ge=1)
    empty_place: Score = 0.0
    gain_per_second: bool = False
    cost: CostSection = CostSection()
    stop_gain: float = Field(0.002, ge=0)
    candidate_score: Score = 0.05


class HoldoutSection(Section):
    """The held-out frames: the ground-truth jobs' where there are any, else a frozen share."""

    share: Annotated[float, Field(ge=0.0, le=0.9)] = 0.2
    subsets: tuple[str, ...] = ("holdout",)
    salt: str = ""
    duplicate_distance: int = Field(8, ge=0, le=64)


class TrainerSection(Section):
    """How a challenger is learnt. What is not set is the backend's choice: see `trainer fit`.

    Everything in `extra` belongs to the backend.
    """

    backend: str = "centernet"
    epochs: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    image_size: tuple[int, int] | None = None
    seed: int = 7
    time_limit: float | None = Field(None, gt=0)
    base: Path | None = None
    warm_start: bool = False
    device: str = Field("cpu", coerce_numbers_to_str=True)  # YAML reads the GPU 0 as a number
    schedule: str | None = None
    gamma: float | None = None
    milestones: tuple[int, ...] = ()
    regions_per_image: int | None = None
    evaluation_period: int | None = None
    early_stopping: int | None = None
    precision: str | None = None
    min_frames: int = Field(8, ge=2)
    extra: dict[str, Any] = Field(default_factory=dict)


class PromotionSection(Section):
    """When a challenger may serve."""

    metric: Literal["ap", "ap50"] = "ap"
    min_gain: Score = 0.0
    max_class_drop: Score = 0.10
    min_class_objects: int = Field(20, ge=1)
    min_frames: int = Field(10, ge=2)
    min_first: Score | None = None
    useful_ap50: Score = 0.20
    useful_low: Score = 0.10
    useful_objects: int = Field(5, ge=1)
    useful_confidence: float = Field(0.90, ge=0.5, le=0.999)
    informs_low: Score = 0.05
    confidence: float = Field(0.95, gt=0.5, lt=1.0)
    max_leak_share: Score = 0.1
    max_calibration_error: Score = 0.2


class RoundSection(Section):
    """When a round begins, and how its frames come back to people."""

    mode: Literal["new_task", "rank_existing"] = "new_task"
    finished_stage: Literal["annotation", "validation", "acceptance"] = "annotation"
    retrain_after: int = Field(20, ge=1)
    job_size: int = Field(10, ge=1)
    assignees: tuple[str, ...] = ()
    mark_source_deleted: bool = False
    guide: bool = True
    subset: str = ""


class OutlineSection(Section):
    """Seconds of a person for a polygon or mask; a box has CostModel of active_learning."""

    draw: float = Field(OUTLINE_SECONDS.draw, ge=0)
    verify: float = Field(OUTLINE_SECONDS.verify, ge=0)
    fix: float = Field(OUTLINE_SECONDS.fix, ge=0)
    delete: float = Field(OUTLINE_SECONDS.delete, ge=0)


class PreAnnotationSection(Section):
    """Which of the model's objects are put before people.

    min_score: "auto" is where a look is expected to be quicker than drawing, a label at a time.
    """

    enabled: bool = True
    by_class: bool = True
    min_score: Score | Literal["auto"] = "auto"
    min_scores: dict[str, Score] = Field(default_factory=dict)
    outline: OutlineSection = OutlineSection()


class InteractorSection(Section):
    """The extreme-points tool learns the project's own masks and polygons."""

    learn: bool = True
    time_limit: float = Field(600.0, gt=0)


class ServiceSection(Section):
    """The bridge's own process."""

    model_config = ConfigDict(str_strip_whitespace=True)

    host: str = "127.0.0.1"
    port: int = Field(8091, ge=0, le=65535)
    public_url: str | None = None
    poll_seconds: float = Field(60.0, gt=0)


class FunctionHostSection(Section):
    """The process that answers CVAT in Nuclio's place."""

    model_config = ConfigDict(str_strip_whitespace=True)

    url: str = "http://127.0.0.1:8070"
    function_id: str = "champion"
    name: str | None = None
    store: Path | None = None  # the folder it reads; `functions` in home unless set


class Config(Section):
    """The effective configuration."""

    home: Path = Path(".cvat-bridge")
    cvat: CvatSection = CvatSection()
    active_learning: SelectionSection = SelectionSection()
    holdout: HoldoutSection = HoldoutSection()
    trainer: TrainerSection = TrainerSection()
    promotion: PromotionSection = PromotionSection()
    rounds: RoundSection = RoundSection()
    pre_annotation: PreAnnotationSection = PreAnnotationSection()
    interactor: InteractorSection = InteractorSection()
    service: ServiceSection = ServiceSection()
    function_host: FunctionHostSection = FunctionHostSection()
    database_url: str | None = None  # DBOS; SQLite in home unless set
    mlflow_url: str | None = None  # MLflow; SQLite in home unless set

    @property
    def hash(self) -> str:
        """A short name of exactly these settings, for ledger rows and model cards."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def project_id(self) -> int:
        """The project the loop serves; ConfigError where none is set."""
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
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


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
    home, cvat.ca_bundle, function_host.store, trainer.base, the file of a sqlite:/// address, and
    a text in trainer.extra that names a file beside the configuration. "~" is the user's own
    folder.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            [f"{path}: cannot be read ({error.strerror}); `cvat-bridge init` writes one"]
        ) from error
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError([f"{path}: not YAML: {error}"]) from error
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise ConfigError([f"{path}: expected sections, found {type(raw).__name__}"])
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError([_fault(path, dict(item)) for item in error.errors()]) from error
    folder = path.resolve().parent
    return config.model_copy(
        update={
            "home": _absolute(folder, config.home),
            "cvat": config.cvat.model_copy(
                update={"ca_bundle": _absolute(folder, config.cvat.ca_bundle)}
            ),
            "database_url": _database(folder, config.database_url),
            "mlflow_url": _database(folder, config.mlflow_url),
            "function_host": config.function_host.model_copy(
                update={"store": _absolute(folder, config.function_host.store)}
            ),
            "trainer": config.trainer.model_copy(
                update={
                    "base": _absolute(folder, config.trainer.base),
                    "extra": {k: _beside(folder, v) for k, v in config.trainer.extra.items()},
                }
            ),
        }
    )


def _absolute(folder: Path, path: Path | None) -> Path | None:
    return None if path is None else (folder / path.expanduser()).resolve()


def _database(folder: Path, url: str | None) -> str | None:
    """Give an address of a database with the file of SQLite as an absolute path."""
    scheme, slashes, place = (url or "").partition(":///")
    relative = scheme.partition("+")[0] == "sqlite" and place and place[0] not in "/:"
    return f"{scheme}{slashes}{(folder / place).resolve()}" if relative else url


def _beside(folder: Path, value: Any) -> Any:
    """Give a backend's own setting; one that names a file beside the configuration is its path."""
    if not isinstance(value, str) or not value:
        return value
    path = folder / Path(value).expanduser()
    return str(path.resolve()) if path.is_file() else value


def _fault(path: Path, item: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        section = Config.model_fields.get(str(item["loc"][0])) if len(item["loc"]) > 1 else None
        known = Config.model_fields
        if section is not None and isinstance(section.default, BaseModel):
            known = type(section.default).model_fields
        return f"{path}: {place}: unknown key; known here: {', '.join(known)}"
    found = "" if "url must not hold" in item["msg"] else f", found {item['input']!r}"
    return without_userinfo(f"{path}: {place}: {item['msg']}{found}")
