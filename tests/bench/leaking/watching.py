"""A command run to its end, and every place in which a secret of it could come to light."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil

# What a machine's own settings may say must not decide here.
_DROPPED = ("CVAT_", "MLFLOW_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
USER = "me"  # whose password it is, wherever a user stands beside it


@dataclass(frozen=True)
class Seen:
    """What a command left. places: where a secret was found, by name. code: None if we ended it."""

    code: int | None
    said: str
    places: tuple[str, ...]


@dataclass
class Watch:
    """A folder of one command. given: the files in which we ourselves wrote the secret."""

    folder: Path
    secrets: Sequence[str]
    given: set[Path] = field(default_factory=set)

    def write(self, name: str, content: str) -> Path:
        """Write a file of the command's."""
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        self.given.add(path)
        return path

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        seconds: float,
        beside: Callable[[], str] | None = None,
    ) -> Seen:
        """Run `python <arguments>` and look everywhere, also while it runs.

        beside: called while it runs, until it says something; the text is looked at, and the
        command then ended. What we typed ourselves, its own line in the process list, is no leak.
        """
        kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(_DROPPED)}
        env = {**kept, "HOME": str(self.folder), "COLUMNS": "200", **environment}
        outputs = [self.folder.parent / f"{self.folder.name}.{n}" for n in ("out", "err")]
        with outputs[0].open("wb") as out, outputs[1].open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=self.folder, env=env, stdout=out, stderr=err
            )
            listed, answer = self._watch(process, seconds, beside)
        said = "".join(path.read_text(encoding="utf-8", errors="replace") for path in outputs)
        places = [name for name, text in (("output", said), ("answer", answer)) if self._in(text)]
        places += ["process list"] if self._in(listed) else []
        places += [f"file {path.relative_to(self.folder)}" for path in self._files()]
        return Seen(process.returncode if process.returncode >= 0 else None, said, tuple(places))

    def _watch(
        self,
        process: subprocess.Popen[bytes],
        seconds: float,
        beside: Callable[[], str] | None,
    ) -> tuple[str, str]:
        listed, answer = set(), ""
        until = time.monotonic() + seconds
        root = psutil.Process(process.pid)
        while process.poll() is None and time.monotonic() < until and not answer:
            try:
                for child in root.children(recursive=True):
                    listed.add("\0".join(child.cmdline()))
            except psutil.Error:
                pass  # it ended while we looked
            answer = beside() if beside else ""
            time.sleep(0.1)
        if process.poll() is None:
            for child in root.children(recursive=True):
                child.kill()
            process.kill()
        process.wait()
        return "\n".join(listed), answer

    def _files(self) -> list[Path]:
        found = []
        for path in self.folder.rglob("*"):
            if path.is_file() and path not in self.given:
                content = path.read_bytes()
                if any(form.encode() in content for form in self._forms()):
                    found.append(path)
        return found

    def _in(self, text: str) -> bool:
        # A narrow console breaks lines within a word.
        closed = "".join(text.split())
        return any("".join(form.split()) in closed for form in self._forms())

    def _forms(self) -> set[str]:
        forms = set()
        for secret in self.secrets:
            forms |= {secret, quote(secret, safe=""), repr(secret)[1:-1]}
            forms |= {_basic(secret), _basic(f"{USER}:{secret}")}
        return forms


def _basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")
