"""Pickles of strangers: what would run code is refused before it runs, and again while it does."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from trainer.backends.yolo.checkpoint import read_checkpoint
from trainer.backends.yolo.importing import convert
from trainer.backends.yolo.offline import isolate
from trainer.errors import BundleError, ModelFileError
from trainer.importing import ImportRequest, import_model
from trainer.importing.allowed import allowed
from trainer.importing.scan import globals_of, scan


class Runs:
    """Pickles as a call of any function, by name, as an attacker writes it."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.module, self.name, self.arguments = module, name, arguments

    def pickled(self) -> bytes:
        body = b"".join(pickle.dumps(a, protocol=2)[2:-1] for a in self.arguments)
        texts = b"".join(b"\x8c" + bytes([len(t)]) + t.encode() for t in (self.module, self.name))
        return b"\x80\x04" + texts + b"\x93" + b"(" + body + b"tR."


def weights(path: Path, content: bytes) -> Path:
    """Write a file of the form of torch's around a pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return path


# What runs a shell by another name than os.system; torch itself holds each of the last four.
WAYS = [
    ("os", "system"),
    ("posix", "system"),
    ("subprocess", "getoutput"),
    ("builtins", "exec"),
    ("torch", "os.system"),
    ("torch.utils.collect_env", "run"),
    ("torch.serialization", "os.system"),
    ("ultralytics.nn.tasks", "importlib.os.system"),
]


@pytest.mark.parametrize(("module", "name"), WAYS)
def test_code_in_a_pickle_does_not_run(module: str, name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = f"open({str(mark)!r}, 'w')" if name == "exec" else f"touch {mark}"
    path = weights(tmp_path / "bad.pt", Runs(module, name, text).pickled())

    with pytest.raises(ModelFileError, match="refused") as caught:
        import_model(ImportRequest(path, "bad"), tmp_path / "out")

    assert str(path) in str(caught.value)
    assert not mark.exists()
    assert not (tmp_path / "out").exists()


def test_the_attack_is_a_real_one(tmp_path: Path) -> None:
    """Without our looks the same file runs: the tests here would else prove nothing."""
    mark = tmp_path / "mark"
    path = weights(tmp_path / "bad.pt", Runs("torch", "os.system", f"touch {mark}").pickled())
    torch.load(path, weights_only=False)
    assert mark.exists()


@pytest.mark.parametrize(("module", "name"), WAYS)
def test_a_pickle_that_fooled_the_scan_does_not_run(module: str, name: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = f"open({str(mark)!r}, 'w')" if name == "exec" else f"touch {mark}"
    path = weights(tmp_path / "bad.pt", Runs(module, name, text).pickled())

    with pytest.raises(ModelFileError, match="refused"):
        convert(path, tmp_path / "out", name="bad", labels=None)

    assert not mark.exists()


def network_file(path: Path, activation: str | None, layer: str = "Conv") -> Path:
    """A file of ultralytics whose description of its network an attacker has rewritten."""
    isolate()
    from ultralytics.nn.tasks import DetectionModel

    plain = {
        "nc": 1,
        "scales": {"n": [0.5, 0.25, 64]},
        "scale": "n",
        "backbone": [[-1, 1, "Conv", [16, 3, 2]], [-1, 1, "Conv", [32, 3, 2]]],
        "head": [[[0, 1], 1, "Detect", ["nc"]]],
    }
    model = DetectionModel(plain, verbose=False)
    model.names = {0: "thing"}
    model.yaml["backbone"][1][2] = layer
    if activation:
        model.yaml["activation"] = activation
    torch.save({"model": model.half(), "train_args": {"imgsz": 64}}, path)
    return path


def test_a_networks_description_is_never_evaluated(tmp_path: Path) -> None:
    """ultralytics evaluates a text in it when it builds the network anew, long after the pickle."""
    mark = tmp_path / "mark"
    shell = f"__import__('os').system('touch {mark}')"
    for n, words in enumerate([(shell,), (None, "attempt_download_asset")]):
        path = network_file(tmp_path / f"{n}.pt", *words)
        with pytest.raises(ModelFileError, match="cannot be exported"):
            convert(path, tmp_path / "out", name="bad", labels=None)
    fine = network_file(tmp_path / "fine.pt", "torch.nn.LeakyReLU(0.1)")
    assert convert(fine, tmp_path / "out", name="fine", labels=None).card.input_size == (64, 64)
    assert not mark.exists()


def test_the_description_in_a_strangers_bundle_is_never_evaluated(tmp_path: Path) -> None:
    """A bundle comes without a scan, and a fit may begin with its weights."""
    mark = tmp_path / "mark"
    meta = {
        "network": {"activation": f"__import__('os').system('touch {mark}')", "nc": 1,
                    "backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": [[[0], 1, "Detect", ["nc"]]]},
        "task": "boxes", "labels": ["a"], "one_to_one": False,
    }  # fmt: skip
    torch.save({"meta": json.dumps(meta), "weights": {}}, tmp_path / "weights.pt")
    with pytest.raises(BundleError, match="activation"):
        read_checkpoint(tmp_path / "weights.pt")
    assert not mark.exists()


def test_a_constructor_called_from_a_pickle_does_not_evaluate_either(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    network = {"activation": f"__import__('os').system('touch {mark}')", "backbone": [], "head": []}
    content = Runs("ultralytics.nn.tasks", "DetectionModel", network).pickled()
    path = weights(tmp_path / "bad.pt", content)
    with pytest.raises(ModelFileError):
        convert(path, tmp_path / "out", name="bad", labels=None)
    assert not mark.exists()


@pytest.mark.parametrize("second", ["archive/data.pkl", "archive/DATA.PKL"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_pickles_of_one_name_are_refused(second: str, tmp_path: Path) -> None:
    path = weights(tmp_path / "bad.pt", Runs("os", "getcwd").pickled())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(second, pickle.dumps({}))
    with pytest.raises(ModelFileError, match="refused"):
        scan(path, shown=path)


def test_a_name_from_the_memo_is_refused(tmp_path: Path) -> None:
    """A scanner that guesses the last two texts would read something harmless here."""
    content = (
        b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94"  # memo 0 and 1
        b"\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x9400"
        b"h\x00h\x01\x93\x8c\x04true\x85R."
    )
    path = weights(tmp_path / "bad.pt", content)
    assert ("collections", "OrderedDict") not in list(globals_of(path))
    with pytest.raises(ModelFileError, match="refused"):
        scan(path, shown=path)


def test_torchs_own_state_dict_passes_the_scan_and_is_named_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    torch.save(torch.nn.Conv2d(3, 4, 1).state_dict(), path)
    scan(path, shown=path)
    with pytest.raises(ModelFileError, match="state dict"):
        import_model(ImportRequest(path, "state"), tmp_path / "out")


def test_a_truncated_file_is_said_to_be_one(tmp_path: Path) -> None:
    whole = tmp_path / "state.pt"
    torch.save(torch.nn.Conv2d(3, 64, 9).state_dict(), whole)
    path = tmp_path / "half.pt"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(ModelFileError, match="truncated"):
        import_model(ImportRequest(path, "half"), tmp_path / "out")


def test_what_a_network_needs_is_allowed_and_no_more() -> None:
    assert allowed("ultralytics.nn.modules.head", "Segment26")
    assert allowed("torch", "HalfStorage")
    assert not allowed("ultralytics.nn.modules", "TorchVision")
    assert not allowed("torch", "hub.load")
    assert not allowed("torch", "load")
