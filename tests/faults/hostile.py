"""Files that people bring, made by an attacker or damaged on the way."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.faults.campaign import Line
from tests.patience import patience
from tests.serverless.bad_models import KINDS, bad
from tests.serverless.bright_spots import bright_spots
from tests.trainer.importing.networks import yolo
from tests.trainer.importing.test_pickles import WAYS, Runs, weights
from trainer.errors import TrainerError
from trainer.importing import ImportRequest, import_model

LIMIT = 150.0  # seconds of one import


@dataclass(frozen=True)
class _Lair:
    """Where a file is made. mark: what no file may bring about."""

    folder: Path
    mark: Path
    dice: random.Random

    def pickled(self) -> Path:
        module, name = self.dice.choice(WAYS)
        text = f"open({str(self.mark)!r}, 'w')" if name == "exec" else f"touch {self.mark}"
        path = self.folder / self.dice.choice(("best.pt", "last.pth", "model.bin", "m.onnx"))
        return weights(path, Runs(module, name, text).pickled())

    def flipped(self) -> Path:
        content = bytearray(yolo(self.folder / "m.onnx").read_bytes())
        for _ in range(self.dice.randrange(1, 60)):
            content[self.dice.randrange(len(content))] = self.dice.randrange(256)
        (self.folder / "m.onnx").write_bytes(content)
        return self.folder / "m.onnx"

    def cut(self) -> Path:
        path = yolo(self.folder / "m.onnx")
        os.truncate(path, self.dice.randrange(1, path.stat().st_size))
        return path

    def noise(self) -> Path:
        begins = (b"PK\x03\x04", b"\x80\x04", b"\x08\x08\x12", b"\x89HDF\r\n", b"{", b"")
        path = self.folder / "any.pt"
        path.write_bytes(self.dice.choice(begins) + self.dice.randbytes(5000))
        return path

    def reaching_out(self) -> Path:
        made = bright_spots(self.folder / "bundle")
        outside = self.dice.choice(
            (f"../../{self.mark.name}", str(self.mark), f"a/../../{self.mark.name}")
        )
        path = self.folder / "bundle.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(made.path / "card.json", "card.json")
            archive.write(made.path / "model.onnx", "model.onnx")
            archive.writestr(outside, "out of its folder")
        return path

    def swollen(self) -> Path:
        path = self.folder / "bundle.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("card.json", "{}")
            with archive.open("model.onnx", "w", force_zip64=True) as written:
                for _ in range(self.dice.randrange(20, 60)):
                    written.write(bytes(1 << 25))
        return path

    def nested(self) -> Path:
        made = bright_spots(self.folder / "bundle")
        depth = self.dice.randrange(2000, 200_000)
        (made.path / "card.json").write_text('{"a":' * depth + "1" + "}" * depth)
        return made.path

    def no_file(self) -> Path:
        path = self.folder / "best.pt"
        if self.dice.random() < 0.5:
            os.mkfifo(path)
        else:
            path.symlink_to(self.dice.choice(("/dev/zero", "/dev/random", "/proc/self/mem")))
        return path

    def badly_behaved(self) -> Path:
        return bad(self.folder / "bundle", self.dice.choice(sorted(KINDS))).path


_KINDS: Mapping[str, Callable[[_Lair], Path]] = {
    "a pickle that runs code": _Lair.pickled,
    "an ONNX with wrong bytes": _Lair.flipped,
    "an ONNX cut off": _Lair.cut,
    "noise": _Lair.noise,
    "a zip that reaches out": _Lair.reaching_out,
    "a zip that swells": _Lair.swollen,
    "a card nested too deep": _Lair.nested,
    "a FIFO or a device": _Lair.no_file,
    "a network that crashes, hangs, eats memory or answers nonsense": _Lair.badly_behaved,
}


def hostile_files(folder: Path, count: int, seed: int = 0) -> Line:
    """Import so many; each must end in time, refused by an error of ours or as a good model.

    In neither case may the file have brought about what it was made for, and a refused one leaves
    nothing behind.
    """
    line = Line("hostile and broken model files")
    dice = random.Random(seed)
    for n, (kind, make) in enumerate(itertools.islice(itertools.cycle(_KINDS.items()), count)):
        place = folder / f"{n}"
        place.mkdir(parents=True)
        lair = _Lair(place, folder / f"mark-{n}", dice)
        path, began, told = make(lair), time.monotonic(), "taken"
        try:
            import_model(ImportRequest(path, "brought"), place / "out")
        except TrainerError as error:
            told = f"refused: {error}"
        except Exception as error:  # noqa: BLE001 whatever it is, it did not hold
            line.count(False, f"{kind}: {type(error).__name__}: {error}")
            continue
        seconds = time.monotonic() - began
        clean = told == "taken" or not (place / "out").exists()
        held = clean and not lair.mark.exists() and seconds < patience(LIMIT)
        line.count(held, f"{kind}: {seconds:.0f} s, mark {lair.mark.exists()}, {told}")
        shutil.rmtree(place, ignore_errors=True)
    return line
