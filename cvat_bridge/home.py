"""Where the bridge keeps its state: one folder, every place in it named once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cvat_bridge.config import Config
from cvat_bridge.errors import HomeError, HomeHeldError
from trainer.machine.storage_faults import storage_fault

_SHORTEST = 8  # characters of a secret


@dataclass(frozen=True)
class Home:
    """The folder and its places.

    shared: the folder of what the projects of a service have in common (models, functions, MLflow,
    secrets, DBOS), None where it is this one.
    """

    root: Path
    shared: Path | None = None

    @classmethod
    def of(cls, config: Config) -> Home:
        """Return the home that a configuration names."""
        return cls(config.home, config.library)

    @property
    def library(self) -> Path:
        """The folder of what projects have in common."""
        return self.shared or self.root

    def of_project(self, project_id: int) -> Path:
        """Return the folder of one of several projects."""
        return self.root / "projects" / str(project_id)

    @property
    def ledger(self) -> Path:
        """Our records (SQLite), unless the configuration names a server."""
        return self.root / "ledger.db"

    @property
    def service_records(self) -> Path:
        """What the projects of a service have in common: leases and flags (SQLite)."""
        return self.library / "service.db"

    @property
    def rounds_url(self) -> str:
        """DBOS's records, unless the configuration names another database."""
        return f"sqlite:///{self.library / 'rounds.db'}"

    @property
    def mlflow_url(self) -> str:
        """MLflow's records, unless the configuration names a server."""
        return f"sqlite:///{self.library / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """MLflow's files."""
        return self.library / "mlartifacts"

    @property
    def chunks(self) -> Path:
        """The cache of what CVAT sent."""
        return self.library / "chunks"

    @property
    def media(self) -> Path:
        """Lists of the frames of tasks, as last read."""
        return self.root / "media"

    @property
    def runs(self) -> Path:
        """Fits, one folder a run."""
        return self.root / "runs"

    @property
    def bundles(self) -> Path:
        """Models, one folder a version."""
        return self.library / "bundles"

    @property
    def functions(self) -> Path:
        """What the function host serves."""
        return self.library / "functions"

    @property
    def images(self) -> Path:
        """Original image files, by sha256."""
        return self.root / "images"

    @property
    def snapshots(self) -> Path:
        """Datasets in COCO form, by fingerprint."""
        return self.root / "snapshots"

    @property
    def annotations(self) -> Path:
        """Raw annotations of finished jobs, as last read."""
        return self.root / "annotations"

    @property
    def predictions(self) -> Path:
        """Predictions, by model and image content."""
        return self.root / "predictions"

    @property
    def thumbnails(self) -> Path:
        """Small pictures for the page; made again when they are deleted."""
        return self.root / "thumbnails"

    @property
    def errands(self) -> Path:
        """Tasks that people asked for on the page, and what became of them."""
        return self.root / "errands"

    @property
    def long_work(self) -> Path:
        """Long work that people asked for on the page, and what became of it."""
        return self.root / "long_work"

    @property
    def sessions(self) -> Path:
        """Who is signed in to the page (SQLite)."""
        return self.root / "sessions.db"

    @property
    def judged(self) -> Path:
        """What models got right and wrong, and how frames look: tables by content."""
        return self.root / "judged"

    @property
    def features(self) -> Path:
        """Learnt features as they run here, made once from their package."""
        return self.library / "features"

    def identity(self) -> str:
        """Return the hex digits that tell this home from any other, made once."""
        found = self._secret("identity")
        return hashlib.sha256(found.encode()).hexdigest()[:16]

    @property
    def place(self) -> str:
        """Return where the home is, for people at another machine; at most 90 characters."""
        machine, root = platform.node()[:30], str(self.library.resolve())
        return f"on {machine}, home {root if len(root) <= 50 else '…' + root[-49:]}"

    def webhook_secret(self) -> str:
        """Return the secret shared with CVAT, made once and readable by this user alone."""
        return self._secret(
            "webhook.secret",
            mend="delete it, and give CVAT the new one by `cvat-bridge init --force`",
        )

    def service_token(self) -> str:
        """Return what a reader of the service's status sends, made once as the webhook's secret."""
        return self._secret("service.token")

    def close_to_others(self) -> None:
        """Make the folder, and keep it and what lies in it from every other user."""
        self.root.mkdir(parents=True, exist_ok=True)
        for path in (self.root, *self.root.iterdir()):
            if path.is_symlink() or path.stat().st_uid != os.geteuid():
                continue
            allowed_mode = 0o700 if path.is_dir() else 0o600
            if path.stat().st_mode & 0o777 != allowed_mode:
                path.chmod(allowed_mode)

    def _secret(self, name: str, *, mend: str = "") -> str:
        """Read a secret, made once. A damaged one is made anew, or told where mend says how.

        Raises HomeError.
        """
        try:
            return self._read_secret(name)
        except (ValueError, IsADirectoryError) as error:
            path = self.library / name
            if mend or path.is_dir():
                how = mend or "move it away: it is made anew"
                raise HomeError(f"{path} is damaged ({error}): {how}") from error
            path.unlink()
            return self._read_secret(name)

    def _read_secret(self, name: str) -> str:
        path = self.library / name
        if not path.exists():
            self.library.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whoever comes second reads what the first one wrote, whole.
            part = self.library / f".{name}.{os.getpid()}.{threading.get_ident()}"
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as out:
                out.write(secrets.token_hex(24))
            try:
                path.hardlink_to(part)
            except FileExistsError:
                pass
            finally:
                part.unlink()
        found = path.read_text(encoding="ascii").strip()
        if len(found) < _SHORTEST or not found.isprintable():
            raise ValueError(f"{len(found)} characters, at least {_SHORTEST} are expected")
        return found

    @contextmanager
    def held(self, by: str = "command") -> Iterator[None]:
        """Hold the folder for one process; HomeHeldError when another one works in it.

        Raises HomeError when it cannot be made, or written to.

        by: what holds it, "service" or "command". The lock goes with the process, so a killed one
        leaves none behind. Projects of one service are held together.
        """
        try:
            self.close_to_others()
            if self.shared is not None:
                Home(self.shared).close_to_others()
            lock = (self.library / "lock").open("a+", encoding="utf-8")
        except OSError as error:
            reason = storage_fault(error) or str(error)
            raise HomeError(f"the bridge cannot work in its home {self.root}: {reason}") from error
        with lock as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                raise HomeHeldError(str(self.library), by=handle.read().strip()) from None
            handle.truncate(0)
            handle.write(by)
            handle.flush()
            yield

    @property
    def _asked(self) -> Path:
        return self.root / "round-requested"

    def ask_for_round(self) -> None:
        """Leave word for the service that works here to begin a round, due or not."""
        self._asked.touch()

    def round_is_asked_for(self) -> bool:
        """Whether somebody has asked for a round since the last one began."""
        return self._asked.exists()

    def take_request(self) -> bool:
        """Return whether a round was asked for, and forget it."""
        there = self._asked.exists()
        self._asked.unlink(missing_ok=True)
        return there
