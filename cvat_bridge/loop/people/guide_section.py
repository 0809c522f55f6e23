"""Our section of the project's guide: the ranked jobs, for the people who annotate them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote

from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.ledger.records import RankedJob
from cvat_bridge.loop.people.job_notes import JobNote, in_minutes
from cvat_bridge.settings import RoundSettings

BEGIN = "<!-- ranked jobs: begin (this part is written anew each round) -->"
END = "<!-- ranked jobs: end -->"
_MARKUP = re.compile(r"([|<>*_`\[\]\\])")
_NO_NOTES: Mapping[int, JobNote] = MappingProxyType({})


def write_guide(
    gateway: Gateway,
    project_id: int,
    jobs: Sequence[RankedJob],
    *,
    number: int,
    settings: RoundSettings,
    notes: Mapping[int, JobNote] = _NO_NOTES,
    about_model: str = "",
) -> None:
    """Put the ranked jobs into our section of the project's guide; the rest stays as it is.

    notes: of each job, by id. told: what people should know of the model, "" for nothing.
    """
    held = gateway.guide(project_id)
    text = section(jobs, number=number, settings=settings, notes=notes, about_model=about_model)
    wanted = with_section(held, text)
    if wanted != held:
        gateway.set_guide(project_id, wanted)


def section(
    jobs: Sequence[RankedJob],
    *,
    number: int,
    settings: RoundSettings,
    notes: Mapping[int, JobNote] = _NO_NOTES,
    about_model: str = "",
) -> str:
    """Write the ranked jobs as a table in Markdown, between our marks."""
    rows = [_row(job, notes.get(job.job_id)) for job in jobs]
    head = [f"## Jobs of round {number}, the most valuable first", ""]
    # CVAT shows a project's guide in every new job of it, whichever that is.
    head += [
        (
            "A job that is not in this table is not part of this round: annotate it as usual, this "
            "table says nothing about it."
        ),
        "",
        where_to_find(jobs, settings),
        "",
    ]
    head += [about_model, ""] if about_model else []
    table = ["| | job | frames | time | what to look at |", "|---|---|---|---|---|"]
    return "\n".join([BEGIN, *head, *table, *rows, END])


def where_to_find(jobs: Sequence[RankedJob], settings: RoundSettings) -> str:
    """Return where CVAT's pages show this order."""
    if settings.mode == "rank_existing":
        return (
            "CVAT lists jobs by their number, not in this order: open them from here, or on "
            f"[the jobs page sorted by date]({jobs_page(jobs)})."
        )
    if settings.job_list == "newest_first":
        return "CVAT's list of jobs shows them in this order: begin at the top."
    return "Begin with the lowest job number: that job is the most valuable."


def jobs_page(jobs: Sequence[RankedJob]) -> str:
    """Return the address of CVAT's jobs page with these jobs alone, the last touched first."""
    wanted = [{"==": [{"var": "id"}, job.job_id]} for job in jobs]
    logic = quote(json.dumps({"or": wanted}, separators=(",", ":")))
    return f"/jobs?sort=-updated_date&filter={logic}"


def with_section(guide: str, text: str) -> str:
    """Replace our section of a guide, or add it at the end; people's text is kept as it is."""
    start, stop = guide.find(BEGIN), guide.find(END)
    if start < 0 or stop < start:
        return f"{guide}\n\n{text}" if guide.strip() else text
    return guide[:start] + text + guide[stop + len(END) :]


def _row(job: RankedJob, note: JobNote | None) -> str:
    link = f"[job {job.job_id}](/tasks/{job.task_id}/jobs/{job.job_id})"
    frames = len(job.frames) if note is None else note.frames
    time = in_minutes(None if note is None else note.seconds)
    look_at = "" if note is None else _MARKUP.sub(r"\\\1", " ".join(note.look_at.split()))
    return f"| {job.rank} | {link} | {frames} | {time} | {look_at} |"
