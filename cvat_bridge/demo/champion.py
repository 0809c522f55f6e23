"""Whether people can use the champion in CVAT: it is in the list of models, and it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from cvat_bridge.demo.calls import Calls
from cvat_bridge.demo.ground_truth import TrueObject

LEAST = 0.05  # confidence below which a finding is none


@dataclass(frozen=True)
class Champion:
    """What CVAT showed of the champion of an arm.

    version: of the bundle that the bridge says it serves, None where no model was promoted.
    listed, answers: None where there was no champion to look for. found: what calls through CVAT
    gave, by frame number. fault: a sentence, "" where all is well.
    """

    function_id: str
    version: str | None
    listed: bool | None = None
    answers: bool | None = None
    found: Mapping[int, tuple[TrueObject, ...]] = field(default_factory=dict)
    fault: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the figures without the findings themselves."""
        return {
            "function": self.function_id,
            "version": self.version,
            "listed": self.listed,
            "answers": self.answers,
            "frames_asked": len(self.found),
            "objects_found": sum(len(objects) for objects in self.found.values()),
            "fault": self.fault,
        }


def look_for_champion(
    calls: Calls,
    function_id: str,
    *,
    version: str | None,
    task_id: int,
    frames: Sequence[int],
    labels: Mapping[str, int],
    min_score: float | None = None,
) -> Champion:
    """Read CVAT's list of models as its page does, and call the champion on frames of a task.

    labels: CVAT's label id by name. min_score: confidence from which findings are shown, None for
    the model's own. A model that was promoted finds something: nothing at all in these frames,
    even at LEAST, is a fault.
    """
    if version is None:
        fault = f"no model was promoted, so {function_id} cannot be in CVAT's list of models"
        return Champion(function_id, None, fault=fault)
    try:
        rows = calls.get("/api/lambda/functions").json()
    except httpx.HTTPError as error:
        fault = f"CVAT's list of models could not be read: {_told(error)}"
        return Champion(function_id, version, listed=False, answers=False, fault=fault)
    shown = {str(row["id"]): str(row["description"]) for row in rows}
    if function_id not in shown:
        fault = (
            f"CVAT's list of models does not hold {function_id}, which the bridge promoted; it "
            f"holds {', '.join(shown) or 'nothing'}. Does the function host read the store that "
            "the bridge writes?"
        )
        return Champion(function_id, version, listed=False, answers=False, fault=fault)
    if version[:12] not in shown[function_id]:
        fault = (
            f"CVAT's list of models holds {function_id} as {shown[function_id]!r}, and the bridge "
            f"promoted {version[:12]} since"
        )
        return Champion(function_id, version, listed=False, answers=False, fault=fault)
    names = {label_id: name for name, label_id in labels.items()}
    found: dict[int, tuple[TrueObject, ...]] = {}
    try:
        for least in (min_score, LEAST):
            for frame in frames:
                asked: dict[str, float] = {"task": task_id, "frame": frame}
                asked |= {} if least is None else {"threshold": least}
                answer = calls.ask(f"/api/lambda/functions/{function_id}", asked).json()
                found[frame] = tuple(
                    TrueObject(names[shape["label_id"]], tuple(shape["points"]))
                    for shape in answer["shapes"]
                    if shape["type"] == "rectangle"
                )
            if any(found.values()):
                return Champion(function_id, version, listed=True, answers=True, found=found)
    except httpx.HTTPError as error:
        fault = f"{function_id} is listed but does not answer a call: {_told(error)}"
        return Champion(function_id, version, listed=True, answers=False, found=found, fault=fault)
    fault = (
        f"{function_id} answers, but finds nothing in {len(frames)} frames at a confidence of "
        f"{LEAST}: do its labels and their types fit the project's?"
    )
    return Champion(function_id, version, listed=True, answers=False, found=found, fault=fault)


def _told(error: httpx.HTTPError) -> str:
    text = error.response.text if isinstance(error, httpx.HTTPStatusError) else ""
    return f"{type(error).__name__}: {error} {text[:500]}".strip()
