"""The reference of the configuration, from the JSON schema of the models that check it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cvat_bridge.config import ENVIRONMENT, config_schema
from docs.generate.tables import code, table

INTRODUCTION = """# Configuration

`cvat-bridge init` writes `cvat-bridge.yaml` with the keys that are changed most; every key below
may stand in it. All keys have a default. An unknown key is an error, and all faults are reported
at once. Paths are relative to the file. `cvat-bridge check` prints what is in force and touches
nothing.

For completion and checks while you type, let your editor use the [JSON
schema](configuration.schema.json), which this command prints:

```sh
cvat-bridge schema > cvat-bridge.schema.json
```

The YAML language server of most editors finds it by the first line of the file:

```yaml
# yaml-language-server: $schema=cvat-bridge.schema.json
```
"""


@dataclass(frozen=True)
class Key:
    """One key. section, name: place in the file. values: which it takes. default: as JSON."""

    section: str
    name: str
    values: str
    default: str
    meaning: str

    @property
    def place(self) -> str:
        """The whole path, with dots."""
        return f"{self.section}.{self.name}".lstrip(".")


def all_keys() -> Iterator[Key]:
    """Give every key of the file."""
    schema = config_schema()
    yield from _keys(schema, "", schema["$defs"])


def page() -> str:
    """Return the page."""
    sections: dict[str, list[Key]] = {}
    for key in all_keys():
        sections.setdefault(key.section, []).append(key)
    head = ("key", "values", "default", "meaning")
    parts = [INTRODUCTION]
    for section, found in sections.items():
        rows = [(code(key.name), key.values, code(key.default), key.meaning) for key in found]
        parts.append(f"## {section or 'At the top of the file'}\n\n{table(head, rows)}\n")
    secrets = [(code(name), key.replace("_", " ")) for key, name in ENVIRONMENT.items()]
    parts.append(
        "## Environment\n\nSecrets never stand in the file.\n\n"
        f"{table(('variable', 'what it holds'), secrets)}\n"
    )
    return "\n".join(parts)


def _keys(
    part: Mapping[str, Any], section: str, definitions: Mapping[str, Mapping[str, Any]]
) -> Iterator[Key]:
    for name, schema in part["properties"].items():
        inner = definitions.get(str(schema.get("$ref", "")).rpartition("/")[2])
        if inner is not None and "properties" in inner:
            yield from _keys(inner, f"{section}.{name}".lstrip("."), definitions)
            continue
        default = json.dumps(schema.get("default", {}), ensure_ascii=False)
        yield Key(section, name, _values(schema), default, schema.get("description", ""))


_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_KINDS = {"object": "mapping", "boolean": "true or false", "string": "text"}


def _values(schema: Mapping[str, Any]) -> str:
    """Say which values a key takes."""
    if "anyOf" in schema:
        return " or ".join(_values(one) for one in schema["anyOf"])
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"])
    kind = str(schema.get("type", "any value"))
    if kind == "array" and "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])} numbers"
    if kind == "array":
        return f"list of {_values(schema['items'])}"
    bounds = [f"{sign} {schema[name]}" for name, sign in _BOUNDS.items() if name in schema]
    return " ".join([_KINDS.get(kind, kind), *bounds])
