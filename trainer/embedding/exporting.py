"""Export the encoder to ONNX in a separate process, which may load torch."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from trainer.errors import TrainingError

_SECONDS = 300


def exported(path: Path, *, side: int) -> None:
    """Write the encoder to path atomically; see trainer.backends.features.export.

    side: pixels of its input images. Two processes may do this at once: both write the same. Raises
    TrainingError with the process's last line when it fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as scratch:
        part = Path(scratch) / path.name
        command = [sys.executable, "-m", "trainer.backends.features.export", str(part), str(side)]
        try:
            ended = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
            )
        except subprocess.TimeoutExpired:
            raise TrainingError("features", f"not exported within {_SECONDS} s") from None
        if ended.returncode or not part.exists():
            lines = [line for line in ended.stderr.splitlines() if line.strip()]
            said = lines[-1] if lines else f"the exporting process ended with {ended.returncode}"
            raise TrainingError("features", said)
        part.replace(path)
