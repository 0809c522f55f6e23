"""How long a click takes: whole HTTP requests to a function host, and MobileSAM beside it."""

from __future__ import annotations

import base64
import json
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import requests

from serverless.host.server import running
from tests.bench.figures import Figure
from tests.bench.interacting import mobilesam
from tests.bench.interacting.pictures import photo

SIZES = {"0.3": (480, 640), "2": (1224, 1632), "12": (3000, 4000)}
FIRST, LATER = 12, 4  # pictures of a size, and clicks after the first on each
PEER = "MobileSAM architecture, random weights"
_LIMIT = 60.0


def figures(*, peer: bool = True) -> list[Figure]:
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
            theirs = mobilesam.measure(size) if peer else None
            made += _figures(label, size, cold, warm, peak_mb(), theirs)
    return made


def _figures(
    label: str,
    size: tuple[int, int],
    cold: np.ndarray,
    warm: np.ndarray,
    peak: float,
    theirs: mobilesam.Measured | None,
) -> list[Figure]:
    ours = float(np.percentile(cold, 95))
    first = Figure(
        f"first_click_ms_p95/{label}",
        ours,
        "ms",
        note=f"p50 {np.median(cold):.0f} ms, whole HTTP request, JPEG of {size}",
    )
    ratio = float(np.median(warm) / np.median(cold))
    second = Figure(
        f"second_click_ratio/{label}",
        ratio,
        "ratio",
        "first click, p50",
        float(np.median(cold)),
        ratio,
        f"p50 {np.median(warm):.0f} ms, p95 {np.percentile(warm, 95):.0f} ms",
    )
    memory = Figure(f"host_peak_mb/{label}", peak, "MB", note="of the function host so far")
    if theirs is None:
        return [first, second, memory]
    slow = 1000 * float(np.percentile(theirs.first, 95))
    median, p95 = (1000 * float(v) for v in np.percentile(theirs.later, (50, 95)))
    return [
        Figure(**{**vars(first), "peer": PEER, "peer_value": slow, "ratio": ours / slow}),
        second,
        Figure(
            **{
                **vars(memory),
                "peer": PEER,
                "peer_value": theirs.peak_mb,
                "ratio": peak / theirs.peak_mb,
            }
        ),
        Figure(
            f"mobilesam_latency_ratio/{label}",
            slow / ours,
            "x",
            PEER,
            slow,
            slow / ours,
            "its predict alone against our whole HTTP request, p95 of first clicks; "
            f"its later clicks p50 {median:.0f} ms, p95 {p95:.0f} ms",
        ),
    ]


def peak_mb() -> float:
    """Return the most memory that the host and its workers have had resident, MB, summed."""
    (host,) = [
        child for child in psutil.Process().children() if "serverless.host" in child.cmdline()
    ]
    peaks = []
    for process in (host, *host.children(recursive=True)):
        text = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)
        if found is None:
            raise RuntimeError("the kernel tells no peak of resident memory (VmHWM)")
        peaks.append(int(found[1]) / 1024)
    return sum(peaks)


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
