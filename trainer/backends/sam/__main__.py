"""Make a bundle of SAM weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from trainer.backends.sam.engine import ARCHITECTURES, WEIGHTS, load
from trainer.bundles.bundle import write_bundle


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bundle and load it once, so that wrong weights are reported immediately."""
    parser = argparse.ArgumentParser(prog="python -m trainer.backends.sam", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="a .pt file of SAM weights")
    parser.add_argument("--architecture", choices=ARCHITECTURES, default=ARCHITECTURES[0])
    parser.add_argument("--licence", required=True, help="SPDX id of the weights")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    given = parser.parse_args(arguments)
    bundle = write_bundle(
        given.out,
        files={WEIGHTS: given.weights},
        name=given.weights.stem,
        engine="sam",
        task="interactor",
        labels=["object"],
        input_size=(1024, 1024),
        licence=given.licence,
        extra={"architecture": given.architecture},
    )
    load(bundle)
    print(f"{bundle.path}: version {bundle.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
