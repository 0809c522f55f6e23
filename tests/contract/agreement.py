"""Where an answer differs from the recorded one: status, structure, types, and telling values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# values that must be equal, not only of the same type
VALUES = frozenset({
    "type", "frame", "points", "source", "score", "state", "stage", "status", "start_frame",
    "stop_frame", "frame_count", "size", "chunk_size", "deleted_frames", "included_frames",
    "mode", "overlap", "occluded", "outside", "z_order", "rotation", "group", "value",
    "input_type", "default_value", "values", "mutable", "width", "height", "storage",
    "image_quality", "dimension", "media_type", "frame_filter", "data_chunk_size",
    "data_original_chunk_type", "data_compressed_chunk_type", "consensus_replicas", "resolved",
    "position", "markdown", "read_only", "event", "redelivery", "status_code", "validation_mode",
    "is_active", "enable_ssl", "events", "target_url", "content_type", "kind", "subset",
    "has_parent", "consensus_enabled", "replicas_count", "key", "label",
})  # fmt: skip
# what depends on the moment of asking, on other people's objects, or on the secret itself;
# keyframe is left on shapes by CVAT's merging of overlapping jobs, by no rule that was seen
LOOSE = frozenset({
    "next", "previous", "count", "last_login", "progress", "exc_info", "started", "ended",
    "started_date", "finished_date", "expiry_date", "last_status", "last_delivery_date",
    "last_used_date", "request_duration", "mask", "keyframe", "response", "attempt", "description",
})  # fmt: skip


def _type(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def differences(recorded: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Say every place where two answers differ."""
    if isinstance(recorded, dict) and isinstance(actual, dict):
        if "<trimmed>" in recorded:
            recorded = {key: recorded[key] for key in recorded if key in actual}
            actual = {key: actual[key] for key in recorded}
        for key in sorted(recorded.keys() ^ actual.keys() - LOOSE):
            if key not in LOOSE:
                yield f"{path}.{key} only in the {'recording' if key in recorded else 'answer'}"
        for key in recorded.keys() & actual.keys():
            yield from _entry(key, recorded[key], actual[key], f"{path}.{key}")
    elif isinstance(recorded, list) and isinstance(actual, list):
        if len(recorded) != len(actual) and not path.endswith(".results"):
            yield f"{path} has {len(actual)} items, recorded {len(recorded)}"
        if recorded and not actual:
            yield f"{path} is empty, recorded {len(recorded)} items"
        for index, (left, right) in enumerate(zip(recorded, actual, strict=False)):
            yield from differences(left, right, f"{path}[{index}]")
    elif _type(recorded) != _type(actual):
        here, there = f"{_type(actual)} {actual!r:.80}", f"{_type(recorded)} {recorded!r:.80}"
        yield f"{path} is {here}, recorded {there}"


def _entry(key: str, recorded: Any, actual: Any, path: str) -> Iterator[str]:
    if key in LOOSE or (isinstance(recorded, str) and recorded.startswith("<")):
        return
    plain = not isinstance(recorded, (dict, list)) or (
        recorded and not isinstance(recorded[0], (dict, list))
        if isinstance(recorded, list)
        else False
    )
    if key in VALUES and plain and _type(recorded) == _type(actual):
        if recorded != actual:
            yield f"{path} is {actual!r:.120}, recorded {recorded!r:.120}"
        return
    yield from differences(recorded, actual, path)
