"""A simulated annotator: another user over HTTP who corrects jobs from what is known to be true.

As CVAT's own editor does, an edited object becomes `semi-auto`, an untouched one stays `auto`,
a drawn one is `manual`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from scipy.optimize import linear_sum_assignment

from cvat_bridge.demo.calls import Calls, RetryCallback, ignore_retries
from cvat_bridge.demo.ground_truth import Box, TrueObject
from trainer.detections import box_iou

KEEP_IOU = 0.80  # a person leaves a box that is this good
FIX_IOU = 0.50  # and corrects one that is this good; a worse one is deleted

Shape = dict[str, Any]


class Annotator:
    """One person with an account. Raises requests.HTTPError when CVAT refuses; see Calls."""

    def __init__(
        self,
        url: str,
        username: str,
        password: str,
        truth: Mapping[str, Sequence[TrueObject]],
        *,
        on_retry: RetryCallback = ignore_retries,
    ) -> None:
        self._truth = truth
        self.username = username
        self._calls = Calls(url, login=(username, password), on_retry=on_retry)

    def open_jobs(self, project_id: int) -> list[dict[str, Any]]:
        """Return my jobs that are not done, newest first as CVAT's pages list them."""
        jobs, page = [], 1
        while True:
            asked = {"project_id": project_id, "page": page, "page_size": 100}
            answer = self._calls.get("/api/jobs", type="annotation", **asked).json()
            jobs += answer["results"]
            if not answer["next"]:
                break
            page += 1
        mine = [
            job
            for job in jobs
            if job["state"] in ("new", "in progress")
            and (job["assignee"] or {}).get("username") == self.username
        ]
        return sorted(mine, key=lambda job: -int(job["id"]))

    def finish(self, job: Mapping[str, Any], labels: Mapping[str, int]) -> Counter[str]:
        """Correct one job and complete it; returns what was done to its pre-annotations."""
        job_id = int(job["id"])
        images = self._images(job)
        shapes = self._calls.get(f"/api/jobs/{job_id}/annotations").json()["shapes"]
        proposed: dict[int, list[Shape]] = {frame: [] for frame in images}
        for shape in shapes:
            proposed.setdefault(int(shape["frame"]), []).append(shape)
        done: Counter[str] = Counter(proposed=len(shapes))
        write: dict[str, list[Shape]] = {"create": [], "update": [], "delete": []}
        for frame, content in images.items():
            truth = self._truth[hashlib.sha256(content).hexdigest()]
            self._correct(frame, proposed[frame], truth, labels, write, done)
        for action in ("delete", "update", "create"):
            if write[action]:
                body = {"version": 0, "tags": [], "shapes": write[action], "tracks": []}
                self._calls.send(f"/api/jobs/{job_id}/annotations?action={action}", body)
        self._calls.send(f"/api/jobs/{job_id}", {"state": "completed"})
        return done

    def _correct(
        self,
        frame: int,
        proposed: Sequence[Shape],
        truth: Sequence[TrueObject],
        labels: Mapping[str, int],
        write: dict[str, list[Shape]],
        done: Counter[str],
    ) -> None:
        overlap = box_iou([_box(shape) for shape in proposed], [t.box for t in truth])
        pairs = {
            int(row): int(column)
            for row, column in zip(*linear_sum_assignment(-overlap), strict=True)
            if overlap[row, column] >= FIX_IOU
        }
        for row, shape in enumerate(proposed):
            if row not in pairs:
                write["delete"].append(shape)
                done["deleted"] += 1
                continue
            target = truth[pairs[row]]
            edited = dict(shape)
            if overlap[row, pairs[row]] < KEEP_IOU:
                edited["points"] = list(target.box)
            if shape["label_id"] != labels[target.label]:
                edited["label_id"] = labels[target.label]
                edited["attributes"] = []
            if edited == shape:
                done["kept"] += 1
                continue
            done["nudged" if edited["label_id"] == shape["label_id"] else "relabelled"] += 1
            write["update"].append({**edited, "source": "semi-auto"})
        for column in sorted(set(range(len(truth))) - set(pairs.values())):
            done["added"] += 1
            write["create"].append(drawn(frame, truth[column], labels))

    def _images(self, job: Mapping[str, Any]) -> dict[int, bytes]:
        """Return the job's frames at original quality, by task-relative number."""
        first, last = int(job["start_frame"]), int(job["stop_frame"])
        images: dict[int, bytes] = {}
        index = 0
        while first + len(images) <= last:
            answer = self._calls.get(
                f"/api/jobs/{job['id']}/data", type="chunk", quality="original", index=index
            )
            with zipfile.ZipFile(io.BytesIO(answer.content)) as chunk:
                for name in sorted(chunk.namelist()):
                    images[first + len(images)] = chunk.read(name)
            index += 1
        return images


def drawn(frame: int, found: TrueObject, labels: Mapping[str, int]) -> Shape:
    """Return the rectangle of a true object as CVAT's editor would send it."""
    return {
        "type": "rectangle",
        "frame": frame,
        "label_id": labels[found.label],
        "points": list(found.box),
        "occluded": False,
        "outside": False,
        "z_order": 0,
        "rotation": 0.0,
        "group": 0,
        "source": "manual",
        "attributes": [],
    }


def _box(shape: Shape) -> Box:
    x1, y1, x2, y2 = shape["points"]
    return (x1, y1, x2, y2)
