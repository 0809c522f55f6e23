"""Faults that people met: scripts beside the project, exports of every family, secrets, Nuclio.

NUCLIO_WRAPPER=<Nuclio's _nuclio_wrapper.py> python -m tests.bench --only cases
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.bench.figures import Figure, write
from tests.bench.leaking.provoking import figure as secret_leaks
from tests.serverless.wrapped import missing
from tests.trainer.importing.exports import BOX, EXPORTS, SIDE, Export
from trainer.engines import load
from trainer.errors import TrainerError
from trainer.importing import ImportRequest, import_model

ROOT = Path(__file__).parents[2]
CASES = ROOT.parent / "shared" / "cases"
TESTS = "tests/serverless/test_nuclio_wrapper.py"
FUNCTIONS = {
    name: f"test_a_function_answers_as_its_model_does[{name}]"
    for name in sorted(
        f"{path.parent.name}-{path.stem}" for path in ROOT.glob("serverless/*/function*.yaml")
    )
} | {"exported": "test_an_exported_folder_answers_by_itself"}
_SECONDS = 600


def main(arguments: Sequence[str] = ()) -> None:
    """Run the scripts where there are any, then the exports; write cases.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench --only cases")
    parser.add_argument("--case", help="one script")
    parser.add_argument("--data", help="unused; every area takes it")
    given = parser.parse_args(arguments)
    figures = [] if given.case else [supported(export) for export in EXPORTS]
    figures += [] if given.case else [of_ultralytics()]
    scripts = sorted(CASES.glob(f"{given.case or '*'}/check.py"))
    if not scripts:
        print(f"no scripts at {CASES}: skipped")
    figures += [case(script) for script in scripts]
    if not given.case:
        figures += [*wrapped(), secret_leaks()]
    write("cases", figures)


def case(script: Path) -> Figure:
    """Run one script with this Python and give its exit code."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Figure(f"case/{script.parent.name}", None, "", note=f"not ended in {_SECONDS} s")
    lines = done.stdout.strip().splitlines()
    note = lines[-1] if done.returncode and lines else ""
    return Figure(f"case/{script.parent.name}", done.returncode, "exit code", note=note)


def wrapped() -> list[Figure]:
    """Run each function folder under Nuclio's wrapper; 0 where it answers as its model does."""
    if why := missing():
        print(f"wrapper: {why}: skipped")
        return []
    made = []
    for name, test in FUNCTIONS.items():
        command = [sys.executable, "-m", "pytest", "-q", f"{TESTS}::{test}"]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        lines = done.stdout.strip().splitlines()
        note = lines[-1] if done.returncode and lines else ""
        made.append(Figure(f"wrapper/{name}", done.returncode, "exit code", note=note))
    return made


def supported(export: Export) -> Figure:
    """Take an export in and give the IoU of what it answers with what it was made to say."""
    name = f"supported/{export.family}/{export.option}"
    with tempfile.TemporaryDirectory() as folder:
        path, card = export.write(Path(folder))
        try:
            bundle = import_model(ImportRequest(path, "m", card=card), Path(folder) / "bundle")
        except TrainerError as error:
            note = "refused with a sentence" if export.refused in str(error) else str(error)
            return Figure(name, float(bool(export.refused)), "agreement", note=note)
        frame = np.full((SIDE, SIDE, 3), 90, np.uint8)
        (found,) = load(bundle, threads=1).detect([frame], min_score=0.3)
    right = not export.refused and found.class_ids.tolist() == [1]
    value = iou(found.boxes[0], np.array(BOX)) if right else 0.0
    return Figure(name, value, "agreement", note="a made export whose one object is known")


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Return the IoU of two boxes (4,) x1 y1 x2 y2."""
    inner = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None)
    areas = [float((box[2:] - box[:2]).prod()) for box in (one, other)]
    return float(inner.prod()) / max(sum(areas) - float(inner.prod()), 1e-9)


def of_ultralytics() -> Figure:
    """Export an RT-DETR of random weights with ultralytics; hold its answers against ours."""
    name = "supported/RT-DETR of ultralytics/exported here"
    from trainer.backends.yolo.offline import isolate

    isolate()
    import torch
    import yaml
    from ultralytics import RTDETR, cfg

    torch.manual_seed(3)
    # ultralytics writes its export where it stands.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        plan = Path(cfg.__file__).parent / "models/rt-detr/rtdetr-resnet50.yaml"
        values = {**yaml.safe_load(plan.read_text(encoding="utf-8")), "nc": 3}
        made = Path(folder) / "rtdetr-small.yaml"
        made.write_text(yaml.safe_dump(values), encoding="utf-8")
        model = RTDETR(str(made))
        for layer in model.model.model[-1].dec_score_head:  # or it would be sure of nothing
            torch.nn.init.normal_(layer.weight, std=0.3)
            torch.nn.init.constant_(layer.bias, -1.0)
        path = Path(model.export(format="onnx", imgsz=320, verbose=False))
        bundle = import_model(ImportRequest(path, "m"), Path(folder) / "bundle")
        frame = np.random.default_rng(1).integers(0, 255, (240, 400, 3)).astype(np.uint8)
        (ours,) = load(bundle, threads=1).detect([frame], min_score=0.05)
        (theirs,) = RTDETR(str(path)).predict(
            frame[..., ::-1].copy(), conf=0.05, imgsz=320, verbose=False
        )
    # Theirs may reach out of the image; ours, as CVAT's, do not.
    boxes = np.clip(theirs.boxes.xyxy.numpy(), 0, [400, 240, 400, 240])
    ids = theirs.boxes.cls.numpy()
    met = [
        max((iou(box, other) for other in ours.boxes[ours.class_ids == n]), default=0.0)
        for box, n in zip(boxes, ids, strict=True)
    ]
    note = f"{len(met)} objects of ultralytics, {len(ours)} of ours, random weights"
    return Figure(name, float(np.mean(met)) if met else None, "agreement", note=note)
