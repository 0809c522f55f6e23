"""What became of proposals: matched with final objects by id, then by place. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvat_bridge.cvat.gateway import JobAnnotations, Label, Media, RawShape
from cvat_bridge.cvat.shape_equality import shape_key
from cvat_bridge.ledger.records import Correction, CorrectionOutcome, Proposal
from cvat_bridge.shapes.convert import LabelledObject, shapes_of_job
from cvat_bridge.shapes.outlines import Box
from trainer.detections import box_iou


@dataclass(frozen=True)
class _Final:
    """An object as people left it. key: its exact form, None for a frame of a track."""

    frame: int
    content: LabelledObject
    label_id: int
    shape_id: int | None
    key: tuple[object, ...] | None


def compare(
    proposals: Sequence[Proposal],
    annotations: JobAnnotations,
    *,
    labels: Sequence[Label],
    media: Media,
    frames: Sequence[int],
    number: int,
    job_id: int,
    model: str,
    nudge_iou: float,
) -> tuple[Correction, ...]:
    """Return what people did to each proposal of a finished job, and what they added.

    A proposal is tied to the final object of its CVAT id, or, where that is gone, to the one of
    the remaining objects of its frame that overlaps it most (boxes, at least nudge_iou). Objects
    (pieces of a group one by one) that nobody touched and we did not propose (another model's) are
    not people's additions.
    Proposals of labels deleted since are not counted.
    """
    proposed = [p for p in proposals if p.frame in set(frames)]
    boxes = _proposed_boxes(proposed, labels, media, frames)
    finals = _finals(annotations, labels, media, frames)
    rows: list[Correction] = []
    tied: set[int] = set()
    loose: list[Proposal] = []
    by_id = {f.shape_id: i for i, f in enumerate(finals) if f.shape_id is not None}
    for proposal in proposed:
        if proposal.place not in boxes:
            continue
        if proposal.shape_id in by_id:
            i = by_id[proposal.shape_id]
            tied.add(i)
            rows.append(_corrected(proposal, boxes[proposal.place], finals[i], nudge_iou))
        else:
            loose.append(proposal)
    for proposal, place in _by_overlap(loose, boxes, finals, tied, nudge_iou).items():
        tied.add(place)
        rows.append(_corrected(proposal, boxes[proposal.place], finals[place], nudge_iou))
    found = {row.place for row in rows}
    rows += [_row(p, "deleted", "", None) for p in loose if p.place not in found]
    added = [f for i, f in enumerate(finals) if i not in tied and f.content.source != "auto"]
    rows += [
        Correction(number, job_id, f.frame, -place, "added", "", f.content.label, None, None, model)
        for place, f in enumerate(added, 1)
    ]
    return tuple(sorted(rows, key=lambda row: (row.frame, row.place)))


def _corrected(proposal: Proposal, box: Box, final: _Final, nudge_iou: float) -> Correction:
    overlap = _iou(box, final.content.box) if final.content.box is not None else 0.0
    outcome: CorrectionOutcome
    if final.label_id != proposal.label_id:
        outcome = "relabelled"
    elif final.key == _form(_as_shape(proposal)):
        outcome = "kept"
    else:
        outcome = "nudged" if overlap >= nudge_iou else "redrawn"
    return _row(proposal, outcome, final.content.label, overlap)


def _iou(first: Box, second: Box) -> float:
    return float(box_iou(first, second)[0, 0])


def _row(
    proposal: Proposal, outcome: CorrectionOutcome, final: str, overlap: float | None
) -> Correction:
    return Correction(
        proposal.round,
        proposal.job_id,
        proposal.frame,
        proposal.place,
        outcome,
        proposal.label,
        final,
        overlap,
        proposal.score,
        proposal.model,
    )


def _by_overlap(
    loose: Sequence[Proposal],
    boxes: Mapping[int, Box],
    finals: Sequence[_Final],
    tied: set[int],
    least: float,
) -> dict[Proposal, int]:
    """Tie proposals to free objects of their frame, the greatest overlap first."""
    pairs = sorted(
        (
            (_iou(boxes[p.place], box), p.label_id == f.label_id, -p.place, -i, p, i)
            for p in loose
            for i, f in enumerate(finals)
            if i not in tied and f.frame == p.frame and (box := f.content.box) is not None
        ),
        key=lambda row: row[:4],
        reverse=True,
    )
    matched: dict[Proposal, int] = {}
    for overlap, _, _, _, proposal, i in pairs:
        if overlap >= max(least, 1e-9) and proposal not in matched and i not in matched.values():
            matched[proposal] = i
    return matched


def _as_shape(proposal: Proposal) -> RawShape:
    return {
        "type": proposal.shape_type,
        "frame": proposal.frame,
        "label_id": proposal.label_id,
        "points": list(proposal.points),
        "rotation": 0.0,
        "id": proposal.place,
        "source": "auto",
    }


def _form(shape: RawShape) -> tuple[object, ...]:
    """Name a shape by all that moving it changes, whoever drew it."""
    return (*shape_key({**shape, "source": ""}), float(shape.get("rotation") or 0))


def _proposed_boxes(
    proposals: Sequence[Proposal], labels: Sequence[Label], media: Media, frames: Sequence[int]
) -> dict[int, Box]:
    shapes = JobAnnotations(shapes=tuple(_as_shape(proposal) for proposal in proposals))
    found = shapes_of_job(shapes, labels=labels, media=media, frames=frames, join_groups=False)
    return {
        int(one.cvat_id): one.box
        for rows in found.by_frame.values()
        for one in rows
        if one.cvat_id is not None and one.box is not None
    }


def _finals(
    annotations: JobAnnotations, labels: Sequence[Label], media: Media, frames: Sequence[int]
) -> list[_Final]:
    raw = {int(shape["id"]): shape for shape in annotations.shapes}
    ids = {label.name: label.id for label in labels}
    found = shapes_of_job(annotations, labels=labels, media=media, frames=frames, join_groups=False)
    finals = []
    for number, rows in found.by_frame.items():
        for one in rows:
            if one.box is None:
                continue
            shape = raw.get(int(one.cvat_id)) if one.cvat_id is not None else None
            if one.track_id is not None:
                shape = None
            shape_id = int(shape["id"]) if shape is not None else None
            key = _form(shape) if shape is not None else None
            finals.append(_Final(number, one, ids[one.label], shape_id, key))
    return finals
