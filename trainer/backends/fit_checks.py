"""Validate the settings that all backends share, and report every fault at once."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from trainer.data.dataset import ANNOTATIONS
from trainer.data.dataset_checks import EVALUATION_SPLITS
from trainer.detector import PRECISIONS, SCHEDULES, FitConfig

_DEVICE = re.compile(r"cpu|mps|cuda(:\d+(,\d+)*)?")


def devices_of(config: FitConfig) -> list[str]:
    """Return the devices a fit runs on: "cuda:0,1" is two."""
    kind, _, numbers = config.device.partition(":")
    return [f"{kind}:{n}" for n in numbers.split(",")] if numbers else [kind]


def device_name(value: Any) -> str:
    """Return a device; bare numbers are GPUs, as in ultralytics: 0 or 0,1."""
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return f"cuda:{text}" if re.fullmatch(r"\d+(,\d+)*", text) else text


def is_device(device: str) -> bool:
    """Return whether a text names a device: cpu, mps, cuda, cuda:0 or cuda:0,1."""
    return _DEVICE.fullmatch(device) is not None


def output_faults(out: Path, split: str) -> list[str]:
    """Return a sentence for each fault of the output folder and the evaluation split."""
    splits = ("auto", "none", *EVALUATION_SPLITS)
    checks = [
        (
            all(path.is_dir() for path in (out, *out.parents) if path.exists()),
            f"out {out}: a file already exists under that name; choose another folder",
        ),
        (split in splits, f"split must be of {', '.join(splits)}: {split!r}"),
    ]
    return [fault for passed, fault in checks if not passed]


def data_faults(data: Path) -> list[str]:
    """Return the faults of a dataset that can be detected without reading it."""
    if (data / ANNOTATIONS).is_file():
        return []
    return [f"data {data}: it contains no {ANNOTATIONS}; a dataset is a folder in COCO format"]


def shared_faults(
    config: FitConfig,
    *,
    precisions: tuple[str, ...] = PRECISIONS,
    regions: bool = False,
    several: bool = False,
    restarts: bool = True,
) -> list[str]:
    """Return a sentence for each fault.

    precisions: those the backend supports. regions: whether it samples regions of an image.
    several: whether it supports more than one device. restarts: whether it supports that schedule.
    """
    faults = [
        *range_faults(config),
        *_contradictions(config, precisions, regions=regions, several=several),
    ]
    if config.schedule == "restarts" and not restarts:
        faults.append(
            f"{config.backend} has no schedule=restarts; choose cosine, step or constant, with "
            "early_stopping to end when validation no longer improves"
        )
    return faults


def range_faults(config: FitConfig) -> list[str]:
    """Return a sentence for each setting with an invalid value."""
    checks = [
        (config.epochs >= 1, f"epochs must be 1 or more: {config.epochs}"),
        (config.batch_size >= 1, f"batch_size must be 1 or more: {config.batch_size}"),
        (
            0 < config.learning_rate < math.inf,
            f"learning_rate must be above 0: {config.learning_rate}",
        ),
        (config.workers >= 0, f"workers must be 0 or more: {config.workers}"),
        (config.seed >= 0, f"seed must be 0 or more: {config.seed}"),
        (
            config.time_limit is None or config.time_limit > 0,
            f"time_limit must be above 0: {config.time_limit}",
        ),
        (
            config.schedule in SCHEDULES,
            f"schedule must be of {', '.join(SCHEDULES)}: {config.schedule!r}",
        ),
        (0 < config.gamma <= 1, f"gamma must lie above 0 and up to 1: {config.gamma}"),
        (
            config.regions_per_image is None or config.regions_per_image >= 1,
            f"regions_per_image must be 1 or more: {config.regions_per_image}",
        ),
        (
            config.evaluation_period is None or config.evaluation_period >= 0,
            f"evaluation_period must be 0 or more epochs: {config.evaluation_period}",
        ),
        (
            config.early_stopping >= 0,
            f"early_stopping must be 0 or more validations: {config.early_stopping}",
        ),
        (
            config.precision in PRECISIONS,
            f"precision must be of {', '.join(PRECISIONS)}: {config.precision!r}",
        ),
        (
            is_device(config.device),
            f"device must be cpu, cuda:0 or several as cuda:0,1: {config.device!r}",
        ),
    ]
    return [fault for passed, fault in checks if not passed]


def _contradictions(
    config: FitConfig, precisions: tuple[str, ...], *, regions: bool, several: bool
) -> list[str]:
    rising = all(a < b for a, b in zip(config.milestones, config.milestones[1:], strict=False))
    inside = all(0 < epoch < config.epochs for epoch in config.milestones)
    checks = [
        (
            config.base is None or config.base.exists(),
            f"base weights {config.base}: there is no such file or folder",
        ),
        (
            not config.milestones or config.schedule == "step",
            (
                f"milestones and schedule={config.schedule} contradict each other: only "
                "schedule=step has milestones"
            ),
        ),
        (
            rising and inside,
            (
                f"milestones must rise and lie between 0 and epochs ({config.epochs}): "
                f"{', '.join(map(str, config.milestones))}"
            ),
        ),
        (
            not (config.early_stopping and config.evaluation_period == 0),
            (
                "early_stopping and evaluation_period=0 contradict each other: without validation "
                "there is nothing to decide by"
            ),
        ),
        (
            config.precision != "fp16" or config.device.startswith("cuda"),
            (
                f"precision=fp16 and device={config.device} contradict each other: fp16 "
                "needs a GPU; on a processor use bf16 or fp32"
            ),
        ),
        (
            config.precision in precisions or config.precision not in PRECISIONS,
            f"{config.backend} supports precision {', '.join(precisions)}, not {config.precision}",
        ),
        (
            regions or config.regions_per_image is None,
            f"{config.backend} has no regions per image; leave regions_per_image out",
        ),
        (
            several or len(devices_of(config)) == 1,
            f"{config.backend} trains on one device, found {config.device}; yolo can use several",
        ),
    ]
    return [fault for passed, fault in checks if not passed]
