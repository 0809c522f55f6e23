"""Open a network and run it once in a process with limits (see sandboxed_process.py).

An ONNX file contains no code, but its graph may loop forever or exhaust the memory as soon as it is
opened (constant folding) or run. The process works on a copy in a scratch folder: `python -m
trainer.importing.trial_run open|detect|check PATH`.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainer.bundles.bundle import read_bundle
from trainer.data.images import RGBImage
from trainer.engines.runtime import open_session
from trainer.errors import BundleError, ModelFileError, TrainerError
from trainer.importing import sandboxed_process
from trainer.importing.output_checks import check_outputs, samples, try_detector, whole_numbers
from trainer.machine.portable import limit

SECONDS = 180
_CPU_SECONDS = 240
_MEMORY_BYTES = 6 << 30
_FILE_BYTES = 1 << 20
_SAID = "refused: "
_GIVEN = "given.npy"


def check_opening(path: Path, *, hidden: Sequence[Path] = (), seconds: float = SECONDS) -> None:
    """Check that an ONNX file can be opened within the limits; else raise ModelFileError."""
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        copy = Path(folder) / "model.onnx"
        shutil.copyfile(path, copy)
        fault = _fault(["open", str(copy)], Path(folder), hidden, seconds)
    # An error reported by the runtime is reported by the reader of the file, in clearer words.
    if fault and not fault.startswith(_SAID):
        raise ModelFileError(path, f"opening it {fault}", "Export it again")


def check_detection(
    path: Path,
    *,
    hidden: Sequence[Path] = (),
    seconds: float = SECONDS,
    compare: bool = False,
    given: RGBImage | None = None,
) -> None:
    """Check that a detector's bundle runs within the limits; else raise BundleError.

    compare: whether to compare its outputs with its card (see output_checks.py), also on the image
    `given`; ModelFileError if they contradict it.
    """
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        copy = Path(folder) / "bundle"
        shutil.copytree(path, copy)
        if given is not None:
            np.save(Path(folder) / _GIVEN, given)
        asked = ["check" if compare else "detect", str(copy)]
        fault = _fault(asked, Path(folder), hidden, seconds)
    if fault.startswith(_SAID):
        kind, first, second = fault.removeprefix(_SAID).split("\t")
        if kind == ModelFileError.__name__:
            raise ModelFileError(path, first, second)
        raise BundleError(path, first, second)
    if fault:
        raise BundleError(path, "a network that runs on one frame", f"one that {fault}")


def _fault(asked: Sequence[str], scratch: Path, hidden: Sequence[Path], seconds: float) -> str:
    command = [sys.executable, "-m", "trainer.importing.trial_run", *asked]
    try:
        ended = sandboxed_process.run_sandboxed(
            command,
            scratch,
            hidden=hidden,
            seconds=seconds,
            cut_off=sandboxed_process.sandbox_available(),
        )
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
    # A shell reports a signal as 128 plus its number.
    signal = -code if code < 0 else code - 128 if code > 128 else 0
    return f"crashes its process (signal {signal})" if signal else f"fails ({lines[-1:]})"


def main() -> int:
    """Run the check named in the arguments, within the limits."""
    limit(resource.RLIMIT_CPU, _CPU_SECONDS)
    limit(resource.RLIMIT_AS, _MEMORY_BYTES)
    limit(resource.RLIMIT_FSIZE, _FILE_BYTES)
    limit(resource.RLIMIT_CORE, 0)
    task, path = sys.argv[1], Path(sys.argv[2])
    try:
        if task == "open":
            _open(path)
        else:
            _detect(path, compare=task == "check")
    except ModelFileError as error:
        return _say(error, error.reason, error.advice)
    except BundleError as error:
        return _say(error, error.expected, error.found)
    except TrainerError as error:
        return _say(error, "a network that runs on one frame", str(error))
    return 0


def _open(path: Path) -> None:
    session = open_session(path, threads=1)
    try:
        whole_numbers(session, session.get_outputs()[0].name)
    # It has other inputs than an image, or fails on one: the reader of the file reports it.
    except Exception as error:
        raise ModelFileError(path, f"{type(error).__name__}: {error}") from error


def _detect(path: Path, *, compare: bool) -> None:
    bundle = read_bundle(path, verify=False)
    detector = try_detector(bundle)
    if compare:
        given = path.with_name(_GIVEN)
        one = np.load(given, allow_pickle=False) if given.exists() else None
        check_outputs(bundle, detector, samples(bundle.card.input_size, one))


def _say(error: TrainerError, first: str, second: str) -> int:
    said = (type(error).__name__, first, second)
    line = "\t".join(" ".join(text.split()) for text in said)
    print(f"{_SAID}{line}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
