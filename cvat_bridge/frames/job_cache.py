"""Raw annotations of finished jobs, kept on disk until the job changes."""

from __future__ import annotations

import json
from pathlib import Path

from cvat_bridge.cvat.gateway import Gateway, JobAnnotations
from cvat_bridge.errors import HomeError
from cvat_bridge.frames.originals import write_atomically
from trainer.data.files import parse_json


class JobCache:
    """One JSON file a job, with the date that the job had when it was read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def held(self, job_id: int, updated_date: str) -> JobAnnotations | None:
        """Return the annotations if they were read at this date of the job, else None."""
        path = self.folder / f"{job_id}.json"
        try:
            values = parse_json(path.read_text(encoding="utf-8"))
            if values["updated_date"] != updated_date:
                return None
            return JobAnnotations(
                tuple(values["tags"]), tuple(values["shapes"]), tuple(values["tracks"])
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # not there, or damaged: read again
        except IsADirectoryError as error:
            raise HomeError(f"{path} is a folder, expected a file; move it away") from error

    def read(self, gateway: Gateway, job_id: int, updated_date: str) -> JobAnnotations:
        """Read the annotations, from here where the job has not changed, else from CVAT.

        updated_date: of the job before this call, so that what people write meanwhile makes the
        next call read again.
        """
        held = self.held(job_id, updated_date)
        if held is not None:
            return held
        found = gateway.annotations(job_id)
        values = {
            "updated_date": updated_date,
            "tags": found.tags,
            "shapes": found.shapes,
            "tracks": found.tracks,
        }
        write_atomically(self.folder / f"{job_id}.json", json.dumps(values).encode())
        return found
