"""How long a click takes: whole HTTP requests to a function host, and MobileSAM beside it."""

from __future__ import annotations

import base64
import json
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import requests

from serverless.host import running
from tests.bench.figures import Figure
from trainer.images import RGBImage

SIZES = {"0.3": (480, 640), "2": (1224, 1632), "12": (3000, 4000)}
FIRST, LATER = 8, 4  # pictures of a size, and clicks after the first on each
_LIMIT = 60.0


def figures(_bundle: Path, *, peer: bool = True) -> list[Figure]:
    """Return the latency of first and later clicks at every size, and MobileSAM's."""
    made: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as url:
        click(url, photo((200, 300), 99), (200, 300), extra=0)  # loads the model
        for label, size in SIZES.items():
            first, later = [], []
            for seed in range(FIRST):
                data = photo(size, seed)
                first.append(click(url, data, size, extra=0))
                later += [click(url, data, size, extra=n + 1) for n in range(LATER)]
            cold, warm = 1000 * np.array(first), 1000 * np.array(later)
            against: tuple[str | None, float | None, float | None] = (None, None, None)
            if peer:
                theirs = 1000 * float(np.percentile(mobilesam(size), 95))
                ours = float(np.percentile(cold, 95))
                against = ("MobileSAM architecture, random weights", theirs, ours / theirs)
                made.append(
                    Figure(
                        f"mobilesam_latency_ratio/{label}",
                        theirs / ours,
                        "x",
                        "MobileSAM architecture, random weights",
                        theirs,
                        theirs / ours,
                        "its predict alone against our whole HTTP request, p95 of first clicks",
                    )
                )
            made += [
                Figure(
                    f"first_click_ms_p95/{label}",
                    float(np.percentile(cold, 95)),
                    "ms",
                    *against,
                    note=f"p50 {np.median(cold):.0f} ms, whole HTTP request, JPEG of {size}",
                ),
                Figure(
                    f"second_click_ratio/{label}",
                    float(np.median(warm) / np.median(cold)),
                    "ratio",
                    "first click, p50",
                    float(np.median(cold)),
                    float(np.median(warm) / np.median(cold)),
                    f"p50 {np.median(warm):.0f} ms, p95 {np.percentile(warm, 95):.0f} ms",
                ),
            ]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    made.append(Figure("host_peak_mb", peak, "MB", note="of the function host, after 12 MP"))
    return made


def click(url: str, data: bytes, size: tuple[int, int], *, extra: int) -> float:
    """Return the seconds of one request: four points on a disc, and corrections."""
    height, width = size
    x, y, r = width / 2, height / 2, min(size) / 4
    positive = [[x - r, y], [x, y - r], [x + r, y], [x, y + r]]
    negative = [[x + r * 0.95, y - r * (0.95 - 0.05 * n)] for n in range(extra)]
    body = {
        "image": base64.b64encode(data).decode(),
        "pos_points": positive,
        "neg_points": negative,
        "obj_bbox": [],
    }
    headers = {
        "x-nuclio-function-name": "extreme-points",
        "User-Agent": "CVAT/2.73.0",
        "Content-Type": "application/json",
    }
    # What CVAT's server spends on writing the request is not ours, and the same for every click.
    sent = json.dumps(body).encode()
    began = time.perf_counter()
    answer = requests.post(
        f"{url}/api/function_invocations", data=sent, headers=headers, timeout=_LIMIT
    )
    seconds = time.perf_counter() - began
    answer.raise_for_status()
    return seconds


def photo(size: tuple[int, int], seed: int) -> bytes:
    """Return the JPEG of a disc on a textured ground."""
    pixels = scene(size, seed)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def scene(size: tuple[int, int], seed: int) -> RGBImage:
    """Return the picture itself, (H, W, 3)."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
    pixels = cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    middle = size[1] // 2, size[0] // 2
    cv2.circle(pixels, middle, min(size) // 4, (40, 90, 200), -1)
    return np.asarray(pixels, np.uint8)


def mobilesam(size: tuple[int, int], runs: int = 3) -> list[float]:
    """Return the seconds of first clicks by MobileSAM; random weights cost the same time."""
    import torch
    from ultralytics.models.sam import Predictor
    from ultralytics.models.sam.build import build_mobile_sam

    predictor = Predictor(overrides={"imgsz": 1024, "verbose": False, "save": False})
    predictor.setup_model(build_mobile_sam().eval(), verbose=False)
    seconds = []
    x, y, r = size[1] / 2, size[0] / 2, min(size) / 4
    with torch.inference_mode():
        for seed in range(runs):
            pixels = np.ascontiguousarray(scene(size, seed)[..., ::-1])
            began = time.perf_counter()
            predictor.set_image(pixels)
            predictor(bboxes=[x - r, y - r, x + r, y + r])
            seconds.append(time.perf_counter() - began)
            predictor.reset_image()
    return seconds
