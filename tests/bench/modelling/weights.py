"""Weight files as ultralytics leaves them: its networks, with chance weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIDE = 640


def network(name: str, seed: int) -> Any:
    """Return ultralytics' own model of a yaml, as yolo11n, with 80 named classes."""
    from trainer.backends.yolo.offline import isolate

    isolate()
    import torch
    from ultralytics import YOLO

    torch.manual_seed(seed)
    made = YOLO(f"{name}.yaml")
    made.model.names = {n: f"class {n}" for n in range(80)}
    return made


def pt_file(folder: Path, name: str, seed: int) -> Path:
    """Write a .pt, as `yolo train` leaves it."""
    path = folder / f"{name}-{seed}.pt"
    network(name, seed).save(path)
    return path


def onnx_file(folder: Path, name: str, seed: int) -> Path:
    """Write an .onnx by ultralytics' own export, of any batch and with 640 pixels."""
    made = network(name, seed)
    made.ckpt_path = str(folder / f"{name}-{seed}.pt")
    made.save(made.ckpt_path)
    made.model.pt_path = made.ckpt_path
    return Path(made.export(format="onnx", imgsz=SIDE, dynamic=True, verbose=False))
