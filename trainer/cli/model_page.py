"""Everything known about a model, for people to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainer.bundles.bundle import Bundle
from trainer.calibration.score_map import CALIBRATION, ScoreMaps
from trainer.registry.versions import Promotion, Version


def model_json(
    bundle: Bundle, version: Version | None = None, history: Sequence[Promotion] = ()
) -> dict[str, Any]:
    """Return the card as JSON values, with what the registry adds for a registered version."""
    card = {"version": bundle.version, "path": str(bundle.path), **bundle.card.to_json()}
    if version is None:
        return card
    return {
        **card,
        "registry": {
            "key": version.key,
            "number": version.number,
            "champion": version.champion,
            "registered": version.created.isoformat(),
            "metrics": dict(version.metrics),
            "params": dict(version.params),
            "tags": dict(version.tags),
            "served": [
                {"action": e.action, "at": e.at.isoformat(), "reasons": list(e.reasons)}
                for e in history
                if e.number == version.number
            ],
        },
    }


def model_page(values: Mapping[str, Any]) -> str:
    """Format the values of model_json as lines, the most frequently asked first."""
    origin = values["provenance"]
    source = origin.get("source") or {}
    base = origin.get("base")
    jobs = origin.get("jobs") or source.get("jobs")
    first = {
        "model": f"{values['name']} (version {values['version']})",
        "folder": values["path"],
        "answers": f"{values['task']} of {', '.join(values['labels'])}, by {values['engine']}",
        "scores": _scores(values),
        "created": values["created"] or None,
        "dataset": origin.get("dataset") or values["dataset"] or None,
        "frames": _pairs(origin.get("frames")),
        "project": origin.get("project") or source.get("project"),
        "jobs": _jobs(jobs),
        "strategy": origin.get("strategy") or source.get("strategy"),
        "base weights": _base(base, known=bool(origin), named=values["base"]),
        "code": _code(origin.get("code")),
        "libraries": _pairs(origin.get("libraries")),
        "licence": values["licence"] or None,
        "figures": metrics_text(
            {**values["metrics"], **values.get("registry", {}).get("metrics", {})}
        )
        or None,
    }
    lines = [f"{name + ':':<14} {'unknown' if v is None else v}" for name, v in first.items()]
    extra = {name: value for name, value in values["extra"].items() if name != CALIBRATION}
    for title in ("metrics", "settings", "files"):
        lines += [f"{title}:", *_indented(values[title])]
    lines += ["extra:", *_indented(extra)]
    if "registry" in values:
        lines += ["registry:", *_indented(values["registry"])]
    return "\n".join(lines)


def metrics_text(metrics: Mapping[str, Any]) -> str:
    """Return the metrics as text, "" if there are none: "AP 0.512, AP50 0.801"."""
    known = {"ap": "AP", "ap50": "AP50", "iou4": "IoU at four clicks"}
    return ", ".join(
        f"{name} {metrics[key]:.3f}"
        for key, name in known.items()
        if isinstance(metrics.get(key), (int, float))
    )


def _scores(values: Mapping[str, Any]) -> str:
    """Describe what the scores mean, and from which score objects are shown."""
    shown = f"shown from {values['min_score']:g}"
    if values["class_min_score"]:
        shown += "".join(f", {n} from {s:g}" for n, s in values["class_min_score"].items())
    calibration = values["extra"].get(CALIBRATION)
    if calibration is None:
        return f"{shown}; not calibrated, so scores are not probabilities"
    return f"{shown}; calibrated: {ScoreMaps.from_json(calibration).note}"


def _jobs(jobs: Sequence[Mapping[str, Any]] | None) -> str | None:
    if not jobs:
        return None
    return ", ".join(f"{j['job']} (of {j['updated_date']})" for j in jobs)


def _base(base: Mapping[str, Any] | None, *, known: bool, named: str) -> str | None:
    if base is None:
        return named or ("none, from scratch" if known else None)
    hashes = ", ".join(f"{name} sha256 {sha}" for name, sha in base["sha256"].items())
    version = f" (version {base['version']})" if base["version"] else ""
    return f"{base['name']}{version}: {hashes}"


def _code(code: Mapping[str, Any] | None) -> str | None:
    if not code:
        return None
    commit = f", commit {code['commit']}" if code["commit"] else ""
    return f"{code['package']} {code['version']}{commit}" + (
        ", with uncommitted changes" if code["changed"] else ""
    )


def _pairs(values: Mapping[str, Any] | None) -> str | None:
    return ", ".join(f"{k} {v}" for k, v in values.items() if v) if values else None


def _indented(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line per value; nested values as JSON."""
    for name, value in values.items():
        plain = value if isinstance(value, (str, int, float)) else json.dumps(value)
        yield f"  {name}: {plain}"
