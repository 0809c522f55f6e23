"""Whether a model says in CVAT what its own library says of the same image.

    python -m tests.bench.modelling.agreement [--data DIR] [--images 50] [--only yolo ...]

The whole path: weights → bundle → function host (a process) → sandbox (a process), asked by
CVAT's batch request over HTTP, → annotations read back. The peer, see peers.py, runs in this
process on the frames as the server serves them. The score comes through the label's attribute
`confidence`, which counts millionths here, so that nothing of it is lost.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.sandbox import running
from cvat_bridge.shapes.rle import decode as decode_mask
from serverless.host.server import running as hosting
from serverless.polygon.polygons import Polygon, rasterize
from serverless.store.confidence import NAME, ConfidenceForm
from serverless.store.functions import Entry, FunctionLabel, publish
from tests.bench.figures import Figure, write
from tests.bench.modelling.peers import CASES, Case
from tests.bench.modelling.stage import Server
from tests.bench.modelling.ways import by_menu
from tests.trainer.agreement import Agreement, Seen
from trainer.data.dataset import load_dataset
from trainer.data.images import RGBImage, decode

SHARED = Path(__file__).parents[4] / "shared" / "data" / "bccd_det"
FORM = ConfidenceForm("number", ("0", "1000000", "1"))
Shapes = list[dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every engine and write agreement/<engine>."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.modelling.agreement")
    parser.add_argument("--data", type=Path, default=SHARED, help="a folder in COCO form")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--only", nargs="*", choices=sorted(CASES), default=[*CASES])
    given = parser.parse_args(arguments)
    dataset = load_dataset(given.data)
    unseen = [image for image in dataset.images if image.split != "train"] or [*dataset.images]
    files = [dataset.file(image) for image in unseen[: given.images]]
    with tempfile.TemporaryDirectory(prefix="bench-agreement-") as scratch:
        folder = Path(scratch)
        store = folder / "functions"
        with (
            hosting(store, builtin=False) as host,
            running(folder / "cvat", function_host=host) as sandbox,
        ):
            path = Way(Server(sandbox.url, sandbox.admin_token), store, files, given.data)
            for name in given.only:
                place = folder / name.replace("/", "-")
                place.mkdir()
                begun = time.perf_counter()
                write("models", [path.figure(name, place, tuple(dataset.labels))])
                print(f"   {time.perf_counter() - begun:.0f} s", flush=True)


@dataclass(frozen=True)
class Way:
    """The processes and the frames that every engine goes through."""

    server: Server
    store: Path
    files: Sequence[Path]
    data: Path

    def figure(self, name: str, folder: Path, labels: tuple[str, ...]) -> Figure:
        """Bring one network into CVAT, let it annotate the frames, and ask its library."""
        asked = [
            {
                "name": label,
                "type": "any",
                "attributes": [
                    {
                        "name": NAME,
                        "mutable": False,
                        "input_type": FORM.input_type,
                        "values": [*FORM.values],
                        "default_value": FORM.values[0],
                    }
                ],
            }
            for label in labels
        ]
        task = self.server.task(name, self.files, asked)
        frames = [decode(self.server.frame(task, n)) for n in range(len(self.files))]
        case = CASES[name](folder, self.data, labels, frames)
        called = name.replace("/", "-")
        shown = tuple(FunctionLabel(label, label, "any", FORM) for label in labels)
        bundle = case.bundle
        publish(
            self.store,
            Entry(called, "detector", name, "agreement", bundle.path, bundle.version, shown, 0.0),
        )
        by_menu(self.server, task, case.min_score, called=called)
        told = self._by_frame(task)
        peers = [case.says(frame) for frame in frames]
        if not isinstance(peers[0], Seen):
            maps = [np.asarray(peer) for peer in peers]
            return pixels_figure(name, case, labels, told, maps)
        seen = [peer for peer in peers if isinstance(peer, Seen)]
        found = Objects(case, told, seen, frames)
        outlines = ""
        if seen[0].bitmaps is not None:
            by_menu(
                self.server, task, case.min_score, called=called, cleanup=True,
                conv_mask_to_poly=True,
            )  # fmt: skip
            drawn = Objects(case, self._by_frame(task), seen, frames, iou=0.5).agreed
            outlines = (
                f"; as one polygon each, as CVAT keeps them when asked to convert masks: mean IoU "
                f"{np.mean(drawn.iou):.4f} of {drawn.paired}"
            )
        return found.figure(name, case, outlines)

    def _by_frame(self, task: int) -> list[Shapes]:
        names = {}
        for row in self.server.call("GET", f"/api/labels?task_id={task}&page_size=100")["results"]:
            names[row["id"]] = row["name"]
        found: list[Shapes] = [[] for _ in self.files]
        for shape in self.server.shapes(task):
            (attribute,) = shape["attributes"]
            score = int(attribute["value"]) / int(FORM.values[1])
            found[shape["frame"]].append(
                {**shape, "label": names[shape["label_id"]], "score": score}
            )
        return found


@dataclass
class Objects:
    """Objects of annotations beside objects of the library."""

    case: Case
    told: list[Shapes]
    peers: list[Seen]
    frames: list[RGBImage]
    iou: float | None = None
    agreed: Agreement = field(default_factory=Agreement)

    def __post_init__(self) -> None:
        far = self.case.tolerance
        iou = far.iou if self.iou is None else self.iou
        for shapes, peer, frame in zip(self.told, self.peers, self.frames, strict=True):
            ours = annotated(shapes, (frame.shape[0], frame.shape[1]))
            if peer.bitmaps is None:
                ours = Seen(ours.boxes, ours.scores, ours.names)
            self.agreed.add(ours, peer, pixels=far.pixels, score=far.score, iou=iou)

    def figure(self, name: str, case: Case, more: str) -> Figure:
        """Return the share of objects that both said."""
        far, agreed = case.tolerance, self.agreed
        masked = self.peers[0].bitmaps is not None
        within = f"a mask IoU of {far.iou:g}" if masked else f"{far.pixels:g} pixels"
        apart = (
            f"mask IoU mean {np.mean(agreed.iou):.4f}, least {np.min(agreed.iou):.3f}"
            if masked
            else f"largest distance {agreed.box:.3f} pixels"
        )
        note = (
            f"{case.about}; {described(self.frames)}; threshold {case.min_score:g}; a pair: of a "
            f"class, within {within} and {far.score:g} of score; {agreed.paired} objects said by "
            f"both, {agreed.single} by one; {apart}, {agreed.score:.1g} of score{more}"
        )
        return Figure(f"agreement/{name}", agreed.share, "share", case.library, note=note)


def pixels_figure(
    name: str,
    case: Case,
    labels: Sequence[str],
    told: Sequence[Shapes],
    peers: Sequence[NDArray[Any]],
) -> Figure:
    """Return the share of pixels of one class by both."""
    same = total = 0
    both = np.zeros((len(labels) + 1, 2))
    for shapes, peer in zip(told, peers, strict=True):
        ours = np.zeros(peer.shape, np.int64)
        for shape in shapes:
            (bitmap,) = annotated([shape], (peer.shape[0], peer.shape[1])).bitmaps or ()
            ours[bitmap] = labels.index(shape["label"]) + 1
        same, total = same + int((ours == peer).sum()), total + peer.size
        for n in range(len(both)):
            both[n] += ((ours == n) & (peer == n)).sum(), ((ours == n) | (peer == n)).sum()
    ious = both[both[:, 1] > 0]
    note = (
        f"{case.about}; {described(peers)}; share of pixels of which both say the same class or "
        f"background, no tolerance; {sum(map(len, told))} regions; IoU of the classes, background "
        f"included: mean {np.mean(ious[:, 0] / ious[:, 1]):.4f} of {len(ious)}; regions below 16 "
        f"pixels of the input are left out by us"
    )
    return Figure(f"agreement/{name}", same / total, "share", case.library, note=note)


def annotated(shapes: Shapes, size: tuple[int, int]) -> Seen:
    """Read shapes of one frame; masks and polygons as bitmaps of the whole, (height, width)."""
    boxes, bitmaps = [], []
    for shape in shapes:
        points = shape["points"]
        if shape["type"] == "rectangle":
            boxes.append(points)
            continue
        bitmap = np.zeros(size, np.bool_)
        if shape["type"] == "mask":
            mask = decode_mask(points)
            height, width = mask.bitmap.shape
            bitmap[mask.top : mask.top + height, mask.left : mask.left + width] = mask.bitmap
        else:
            outline = np.array(points, np.float64).reshape(-1, 2)
            bitmap = np.asarray(rasterize([Polygon(outline, ())], size), np.bool_)
        bitmaps.append(bitmap)
        ys, xs = np.nonzero(bitmap)
        boxes.append([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] if len(xs) else [0.0] * 4)
    return Seen(
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array([shape["score"] for shape in shapes]),
        [shape["label"] for shape in shapes],
        bitmaps,
    )


def described(frames: Sequence[NDArray[Any]]) -> str:
    """Return how many images of which size."""
    sizes = sorted({f"{frame.shape[1]} x {frame.shape[0]}" for frame in frames})
    return f"{len(frames)} photographs of {', '.join(sizes[:3])}{' …' if sizes[3:] else ''}"


if __name__ == "__main__":
    main()
