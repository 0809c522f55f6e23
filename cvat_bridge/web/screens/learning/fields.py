"""The fields of the form *Train*: those of the dataclass that the trainer validates, none copied.

Names, kinds and defaults are those of FitConfig, the words those of the options of `trainer fit`,
the defaults of a project those of its configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, get_type_hints

from cvat_bridge.config import TrainerSection
from trainer.backends import names as backends
from trainer.cli.fit_commands import fit
from trainer.detector import AUTOMATIC, PRECISIONS, SCHEDULES, FitConfig

# Chosen elsewhere on the form, or by nobody.
_ELSEWHERE = frozenset({"base", "device", "extra", "automatic"})
_CHOICES: Mapping[str, tuple[str, ...]] = {"schedule": SCHEDULES, "precision": PRECISIONS}
_GROUPS = ("Model", "Schedule", "Validation, evaluation and tracking", "Hardware")
FIT = "fit."  # before the name of a setting in a form


@dataclass(frozen=True)
class SettingField:
    """A setting. words: its name for people. help: a sentence. default: what it is unless given.

    choices: the values it may take, empty for free text.
    """

    name: str
    words: str
    help: str
    default: str
    group: str
    choices: tuple[str, ...] = ()


def setting_fields(configured: TrainerSection) -> tuple[SettingField, ...]:
    """Return the settings in the order of their groups, each with the default of a project."""
    shown = configured.shown
    found = []
    for field in fields(FitConfig):
        if field.name in _ELSEWHERE:
            continue
        text, group = _told().get(field.name, ("", ""))
        choices = backends() if field.name == "backend" else _CHOICES.get(field.name, ())
        found.append(
            SettingField(
                field.name,
                re.sub("^val_", "validation_", field.name).replace("_", " ").capitalize(),
                text or _documented(field.name),
                _default(field.name, shown[field.name]),
                group if group in _GROUPS else _GROUPS[2],
                choices,
            )
        )
    return tuple(sorted(found, key=lambda one: _GROUPS.index(one.group)))


def place_of(fault: str) -> str:
    """Return the field beside which a fault stands; "" for none of them."""
    names = {field.name for field in fields(FitConfig)}
    first = re.match(r"(?:--fit )?(?:extra\.)?(\w+)", fault)
    if first is not None and first[1] in names - {"automatic"}:
        return first[1] if first[1] in ("base", "device") else FIT + first[1]
    for start, place in (
        ("--holdout-share", "share"),
        (("--test-", "both learnt", "a test part", "the test part", "nothing is left"), "test"),
        (("--task", "--subset", "--job"), "train"),
        ("the run's name", "name"),
        ("task ", "task"),
        ("no backend", FIT + "backend"),
        ("backend ", FIT + "backend"),
    ):
        if fault.startswith(start):
            return place
    return ""


def in_words(fault: str) -> str:
    """Return a fault without the words of the command line, as a sentence."""
    text = fault.replace("--holdout-share", "the share")
    text = re.sub(r"--fit (\w+)", lambda found: found[1].replace("_", " "), text)
    text = re.sub(r"--(?:test-)?(task|subset|job|set)\b", r"\1", text)
    text = text.replace("_", " ") if place_of(fault).startswith(FIT) else text
    return f"{text[:1].upper()}{text[1:]}"


def sorted_faults(faults: Sequence[str]) -> dict[str, list[str]]:
    """Return the faults of each field, in words."""
    found: dict[str, list[str]] = {}
    for fault in faults:
        found.setdefault(place_of(fault), []).append(in_words(fault))
    return found


@cache
def _told() -> dict[str, tuple[str, str]]:
    """Return help and panel of each option of `trainer fit`, by name."""
    found = {}
    for name, hint in get_type_hints(fit, include_extras=True).items():
        option = next(iter(getattr(hint, "__metadata__", ())), None)
        if option is not None and getattr(option, "help", None):
            found[name] = (str(option.help), str(option.rich_help_panel or ""))
    return found


def _documented(name: str) -> str:
    """Return what the dataclass says of a setting."""
    text = " ".join((FitConfig.__doc__ or "").split())
    found = re.search(rf"(?:^|\. ){name}: (.+?\.)(?= \w+: |$|;)", text)
    if found is None:
        return ""
    said = found[1].partition("; see ")[0].rstrip(".")
    return f"{said[:1].upper()}{said[1:]}."


def _default(name: str, value: Any) -> str:
    if value is None:
        return "chosen from the data" if name in AUTOMATIC else "as the network has it"
    if isinstance(value, (list, tuple)):
        return ("x" if name == "image_size" else ",").join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
