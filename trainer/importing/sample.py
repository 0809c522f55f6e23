"""A network's first opening and first answer, in a process of its own with limits (see cage.py).

An ONNX file holds no code, but its graph may loop without end or fill any memory, as soon as it
is opened (constants are folded) or when it answers. The process is given a copy in a scratch
folder: `python -m trainer.importing.sample open|answer PATH`.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from trainer.bundles.bundle import read_bundle
from trainer.engines.runtime import open_session
from trainer.errors import BundleError, ModelFileError, TrainerError
from trainer.importing import cage
from trainer.importing.look import look, samples, whole_numbers

SECONDS = 180
_CPU_SECONDS = 240
_MEMORY_BYTES = 6 << 30
_FILE_BYTES = 1 << 20
_SAID = "refused: "


def opened(path: Path, *, hidden: Sequence[Path] = (), seconds: float = SECONDS) -> None:
    """See that an ONNX file can be opened within the limits; ModelFileError where it cannot."""
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        copy = Path(folder) / "model.onnx"
        shutil.copyfile(path, copy)
        fault = _fault(["open", str(copy)], Path(folder), hidden, seconds)
    # A fault that the runtime tells of is told by who reads the file, in better words.
    if fault and not fault.startswith(_SAID):
        raise ModelFileError(path, f"opening it {fault}", "Export it again")


def answered(path: Path, *, hidden: Sequence[Path] = (), seconds: float = SECONDS) -> None:
    """See that a detector's bundle answers frames within the limits; BundleError otherwise.

    What its answers are is judged afterwards, by who imports it.
    """
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        copy = Path(folder) / "bundle"
        shutil.copytree(path, copy)
        fault = _fault(["answer", str(copy)], Path(folder), hidden, seconds)
    if fault and not fault.startswith(_SAID):
        raise BundleError(path, "a network that answers one frame", f"one that {fault}")


def _fault(asked: Sequence[str], scratch: Path, hidden: Sequence[Path], seconds: float) -> str:
    command = [sys.executable, "-m", "trainer.importing.sample", *asked]
    try:
        ended = cage.run(command, scratch, hidden=hidden, seconds=seconds, cut_off=cage.available())
    except subprocess.TimeoutExpired:
        return f"takes longer than {seconds:g} s"
    if ended.returncode == 0:
        return ""
    lines = [line for line in ended.stderr.strip().splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith(_SAID)), "")
    if said:
        return said
    if any("bad_alloc" in line or "MemoryError" in line for line in lines):
        return f"takes more than {_MEMORY_BYTES >> 30} GiB of memory"
    code = ended.returncode
    # A shell tells of a signal by 128 and its number.
    signal = -code if code < 0 else code - 128 if code > 128 else 0
    return f"crashes its process (signal {signal})" if signal else f"fails ({lines[-1:]})"


def _opened(path: Path) -> None:
    session = open_session(path, threads=1)
    try:
        whole_numbers(session, session.get_outputs()[0].name)
    # It takes other inputs than a picture, or fails on one: told by who reads the file.
    except Exception as error:
        raise ModelFileError(path, f"{type(error).__name__}: {error}") from error


def _answered(path: Path) -> None:
    from trainer.importing import try_out

    bundle = read_bundle(path, verify=False)
    look(bundle, try_out(bundle), samples(bundle.card.input_size))


def main() -> int:
    """Do what the arguments ask, within the limits."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    task, path = sys.argv[1], Path(sys.argv[2])
    try:
        if task == "open":
            _opened(path)
        else:
            _answered(path)
    except TrainerError as error:
        print(f"{_SAID}{error}".replace("\n", " "), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
