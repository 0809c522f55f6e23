"""Likely mistakes become issues in CVAT, once each, and what people made of them comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.errors import NotFoundError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.page_records import Review
from cvat_bridge.mistakes.listing import suspect_key, suspect_of
from cvat_bridge.mistakes.ranking import Suspect
from cvat_bridge.progress import Report, quiet
from cvat_bridge.project.facts import Facts
from cvat_bridge.pull.labelled_frames import media_of_job
from cvat_bridge.shapes.convert import LabelledObject, shapes_of_job
from trainer.detections import box_iou

_SAME = 0.5  # overlap from which an object is the one that was asked for
_MOVED = 0.98  # overlap below which a box was moved


def send_to_review(
    gateway: Gateway,
    ledger: Ledger,
    suspects: Sequence[Suspect],
    *,
    who: str,
    now: str,
    report: Report = quiet,
) -> tuple[Review, ...]:
    """Open an issue in CVAT at the place of each suspect, and record who sent it.

    Each is sent once, whoever sends it and however often: what is meant to be sent is recorded
    before CVAT is asked, and CVAT is asked for an issue of the same words at the same place before
    one is made. So a kill in the middle is made good by calling again. Raises GatewayError.
    """
    known = {row.key: row for row in ledger.people.reviews()}
    wanted = {suspect_key(one): one for one in suspects}
    meant = [
        Review(key, one.job_id, asdict(one), who, now)
        for key, one in wanted.items()
        if key not in known
    ]
    ledger.people.save_reviews(meant)
    known |= {row.key: row for row in meant}
    made = []
    for place, key in enumerate(wanted, 1):
        review = known[key]
        if review.issue is None:
            one = suspect_of(review.suspect)
            number = gateway.create_issue(one.job_id, one.frame, one.message, one.position)
            review = replace(review, issue=number)
            ledger.people.save_reviews([review])
        made.append(review)
        report("issues", place, len(wanted))
    return tuple(made)


def read_verdicts(
    gateway: Gateway, ledger: Ledger, facts: Callable[[], Facts], *, report: Report = quiet
) -> tuple[Review, ...]:
    """Ask CVAT which issues are resolved, and by what people did whether each was a mistake.

    An object that was put where one was missing, renamed, moved or deleted was a mistake; one that
    stands as it stood was right. facts: read only where an issue was resolved. Returns all reviews
    as they are now. Raises GatewayError, LedgerError.
    """
    rows = ledger.people.reviews()
    open_ = [row for row in rows if row.issue is not None and not row.verdict]
    read: Facts | None = None
    for place, row in enumerate(open_, 1):
        try:
            if not gateway.issue_resolved(row.issue or 0):
                continue
            read = read or facts()
            verdict = "mistake" if _mended(gateway, read, suspect_of(row.suspect)) else "right"
        except NotFoundError:
            verdict = "gone"
        ledger.people.save_reviews([replace(row, verdict=verdict)])
        report("verdicts", place, len(open_))
    return ledger.people.reviews()


def still_to_review(suspects: Sequence[Suspect], reviews: Sequence[Review]) -> tuple[Suspect, ...]:
    """Return the suspects that nobody has sent to review, whichever model saw them. Pure."""
    sent = {row.key for row in reviews}
    places: dict[tuple[int, int, str], list[Suspect]] = {}
    for row in reviews:
        one = suspect_of(row.suspect)
        places.setdefault((one.job_id, one.frame, one.kind), []).append(one)

    def is_sent(one: Suspect) -> bool:
        near = places.get((one.job_id, one.frame, one.kind), [])
        return suspect_key(one) in sent or (
            bool(near) and bool((box_iou([one.box], [row.box for row in near]) >= _SAME).any())
        )

    return tuple(one for one in suspects if not is_sent(one))


def verdicts(reviews: Sequence[Review]) -> tuple[tuple[Suspect, bool], ...]:
    """Return the suspects that people decided about, and whether each was a mistake. Pure."""
    return tuple(
        (suspect_of(row.suspect), row.verdict == "mistake")
        for row in reviews
        if row.verdict in ("mistake", "right")
    )


def _mended(gateway: Gateway, facts: Facts, one: Suspect) -> bool:
    """Return whether the label was changed since; asks for the job as it is now."""
    media = facts.media.get(one.task_id) or gateway.media(one.task_id)
    held = shapes_of_job(
        gateway.annotations(one.job_id),
        labels=facts.labels,
        media=media_of_job(media, (one.frame,)),
        frames=(one.frame,),
    )
    return was_mistake(one, held.by_frame.get(one.frame, ()))


def was_mistake(one: Suspect, objects: Sequence[LabelledObject]) -> bool:
    """Return whether people changed what a suspect is about. objects: of its frame, as of now."""
    placed = [row for row in objects if row.box is not None]
    boxes = [row.box for row in objects if row.box is not None]
    overlap = box_iou([one.box], boxes)[0] if boxes else ()
    if one.kind == "overlooked":
        return any(
            o >= _SAME and row.label == one.label for o, row in zip(overlap, placed, strict=True)
        )
    same = [
        (float(o), row)
        for o, row in zip(overlap, placed, strict=True)
        if (one.cvat_id is not None and row.cvat_id == one.cvat_id) or o >= _MOVED
    ]
    if not same:
        return True  # deleted
    o, row = max(same, key=lambda pair: pair[0])
    return row.label != one.label or (one.kind == "badly placed" and o < _MOVED)
