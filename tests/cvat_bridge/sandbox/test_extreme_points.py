"""The shipped interactor, called as CVAT's editor calls it: through the server, on a frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import requests

from cvat_bridge.sandbox import running
from serverless.host.server import running as hosting
from tests.cvat_bridge.sandbox.conftest import connected


def test_four_clicks_in_the_editor_give_a_mask(tmp_path: Path) -> None:
    """The server fetches the frame, asks the host, and hands its answer to the editor."""
    pixels = np.full((100, 140, 3), 120, np.uint8)
    cv2.circle(pixels, (70, 50), 30, (20, 40, 220), -1)
    frame = tmp_path / "frame.png"
    cv2.imwrite(str(frame), pixels)
    clicks = [[40.2, 50.5], [70.1, 20.5], [100.5, 50.4], [70.6, 80.5]]

    with (
        hosting(tmp_path / "store", log=tmp_path / "host.log") as host,
        running(tmp_path / "cvat", function_host=host) as sandbox,
        connected(sandbox) as client,
    ):
        task = client.tasks.create_from_data(
            {"name": "clicks", "labels": [{"name": "disc", "type": "polygon"}]}, [frame]
        )
        api = requests.Session()
        api.headers["Authorization"] = f"Bearer {sandbox.admin_token}"
        functions = api.get(f"{sandbox.url}/api/lambda/functions", timeout=120).json()
        answer = api.post(
            f"{sandbox.url}/api/lambda/functions/extreme-points",
            json={
                "job": task.get_jobs()[0].id,
                "frame": 0,
                "pos_points": clicks,
                "neg_points": [],
                "obj_bbox": [],
            },
            timeout=60,
        )

    (listed,) = [one for one in functions if one["id"] == "extreme-points"]
    assert (listed["kind"], listed["version"], listed["min_pos_points"]) == ("interactor", 2, 4)
    assert answer.status_code == 200, answer.text
    (shape,) = answer.json()["shapes"]
    *runs, left, top, right, bottom = shape["points"]
    assert (left, top, right, bottom) == (40, 20, 100, 80)
    assert sum(runs) == 61 * 61
    assert sum(runs[1::2]) > 0.85 * np.pi * 30**2
