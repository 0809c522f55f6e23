"""The reference of the configuration, from the models that check it.

What a key means is looked for in three places: the field's own description, the comment that
`cvat-bridge init` writes beside it, and the docstring of its section or of the library's settings
that it becomes, where such texts stand as `name: meaning`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import cvat_bridge
from active_learning.cost import CostModel
from active_learning.settings import SelectionSettings
from cvat_bridge import config as sections
from cvat_bridge.config import ENVIRONMENT, Config
from cvat_bridge.settings import RoundSettings
from docs.generate.tables import code, table
from trainer.detector import FitConfig
from trainer.gate_settings import GateSettings

TEMPLATE = Path(cvat_bridge.__file__).parent / "cvat-bridge.yaml.jinja"
# Section → the settings of a library that its keys become.
BECOMES: Mapping[type, tuple[type, ...]] = {
    sections.SelectionSection: (SelectionSettings, RoundSettings),
    sections.CostSection: (CostModel,),
    sections.HoldoutSection: (RoundSettings,),
    sections.TrainerSection: (FitConfig,),
    sections.PromotionSection: (GateSettings,),
    sections.RoundSection: (RoundSettings,),
}
INTRODUCTION = """# Configuration

`cvat-bridge init` writes `cvat-bridge.yaml` with the keys that are changed most; every key below may stand in it. All keys
have a default. An unknown key is an error, and all faults are reported at once. Paths are relative to the file.
`cvat-bridge check` prints what is in force and touches nothing.

For completion and checks while you type, let your editor use the [JSON schema](configuration.schema.json):

```sh
cvat-bridge schema > cvat-bridge.schema.json
```

and put this into the first line of the file, which the YAML language server of most editors understands:

```yaml
# yaml-language-server: $schema=cvat-bridge.schema.json
```
"""


@dataclass(frozen=True)
class Key:
    """One key. place: with dots. allowed: of which values. default: as JSON."""

    place: str
    allowed: str
    default: str
    meaning: str


def keys() -> Iterator[Key]:
    """Give every key of the file."""
    yield from _keys(Config, "", Config.model_json_schema(), _comments())


def page() -> str:
    """Return the page."""
    parts, section = [INTRODUCTION], None
    rows: dict[str, list[tuple[str, str, str, str]]] = {}
    for key in keys():
        section = key.place.rpartition(".")[0]
        rows.setdefault(section, []).append(
            (code(key.place.rpartition(".")[2]), key.allowed, code(key.default), key.meaning)
        )
    for section, found in rows.items():
        title = f"## {section}" if section else "## At the top"
        text = _first_paragraph(_section_of(section))
        parts.append(f"{title}\n\n{text}\n\n{table(('key', 'values', 'default', 'meaning'), found)}\n")
    secrets = [(code(name), key.replace("_", " ")) for key, name in ENVIRONMENT.items()]
    parts.append(
        "## Environment\n\nSecrets never stand in the file.\n\n"
        f"{table(('variable', 'what it holds'), secrets)}\n"
    )
    return "\n".join(parts)


def _keys(
    model: type[BaseModel], prefix: str, schema: Mapping[str, Any], comments: Mapping[str, str]
) -> Iterator[Key]:
    described = [_meanings(one, model.model_fields) for one in (model, *BECOMES.get(model, ()))]
    properties = _resolved(schema, schema)["properties"] if not prefix else schema["properties"]
    for name, info in model.model_fields.items():
        place = f"{prefix}{name}"
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            part = _resolved(properties[name], Config.model_json_schema())
            yield from _keys(inner, f"{place}.", part, comments)
            continue
        meaning = (
            info.description
            or comments.get(place)
            or next((found[name] for found in described if name in found), "")
        )
        default = info.get_default(call_default_factory=True)
        yield Key(place, _allowed(properties[name]), _as_json(default), meaning)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref") or next((s.get("$ref") for s in schema.get("allOf", ())), None)
    return root["$defs"][reference.rpartition("/")[2]] if reference else schema


def _as_json(value: object) -> str:
    if value is PydanticUndefined:
        return ""
    return str(value) if isinstance(value, Path) else json.dumps(value)


_BOUNDS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
}


def _allowed(schema: Mapping[str, Any]) -> str:
    """Say which values a key takes, from its JSON schema."""
    if "anyOf" in schema:
        return " or ".join(_allowed(one) for one in schema["anyOf"])
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    kind = str(schema.get("type", "any"))
    if kind == "array" and isinstance(schema.get("items"), dict) and schema["items"]:
        kind = f"list of {_allowed(schema['items'])}"
    elif kind == "array" and "prefixItems" in schema:
        kind = f"list of {len(schema['prefixItems'])} numbers"
    words = {"object": "mapping", "boolean": "true or false", "string": "text"}
    bounds = [f"{sign} {schema[name]:g}" for name, sign in _BOUNDS.items() if name in schema]
    return " ".join([words.get(kind, kind), *bounds])


def _meanings(model: type, names: Mapping[str, Any]) -> dict[str, str]:
    """Return what a docstring says of each of these names, where it stands as `name: meaning`."""
    text = " ".join((inspect.getdoc(model) or "").split())
    one = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    start = re.compile(rf"(?:^|(?<=[.;] )|(?<=\) ))((?:{one})(?:, (?:{one}))*): ")
    found: dict[str, str] = {}
    matches = list(start.finditer(text))
    for match, after in zip(matches, [*matches[1:], None], strict=True):
        meaning = text[match.end() : after.start() if after else len(text)].strip()
        for name in match[1].split(", "):
            found[name] = meaning
    return found


def _comments() -> dict[str, str]:
    """Return the comments of the template by the place of their key."""
    found: dict[str, str] = {}
    section, last = "", ""
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        key = re.match(r"(?P<indent> *)(?P<name>[a-z_]\w*):(?P<rest>.*)", line)
        if key is None:
            more = re.match(r" {10,}# ?(?P<text>.*)", line)
            if more and last in found:
                found[last] += f" {more['text'].strip()}"
            continue
        if not key["indent"]:
            section = key["name"] if not key["rest"].partition("#")[0].strip() else ""
        last = key["name"] if not key["indent"] else f"{section}.{key['name']}"
        comment = re.search(r"(?:^|\s)#\s+(?P<text>.+)$", key["rest"])
        if comment and last != section:
            found[last] = comment["text"].strip()
    return found


def _section_of(section: str) -> type[BaseModel]:
    model: type[BaseModel] = Config
    for name in section.split(".") if section else ():
        inner = model.model_fields[name].annotation
        assert isinstance(inner, type)  # noqa: S101 - a section, or it were no prefix of a key
        model = inner
    return model


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())


def commented() -> dict[str, Any]:
    """Return the template as YAML, with values in the place of what `init` fills in."""
    text = re.sub(r"{{.*?}}", "1", TEMPLATE.read_text(encoding="utf-8"))
    return dict(yaml.safe_load(text))
