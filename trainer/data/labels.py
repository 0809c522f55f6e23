"""The label map: ordered class names and their ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trainer.errors import ConfigError


@dataclass(frozen=True)
class LabelMap:
    """Ordered class names; the id of a class is its index. Names are unique and not empty."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        faults = [f"label {i}: the name is empty" for i, n in enumerate(self.names) if not n]
        seen: dict[str, int] = {}
        for i, name in enumerate(self.names):
            if name in seen:
                faults.append(
                    f"label {i}: {name!r} is already label {seen[name]}; names must be unique"
                )
            seen.setdefault(name, i)
        if faults:
            raise ConfigError(faults)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def id_of(self, name: str) -> int:
        """Return the id of a class; ConfigError when there is no such class."""
        try:
            return self.names.index(name)
        except ValueError:
            raise ConfigError([f"no class {name!r}; known are {', '.join(self.names)}"]) from None

    def name_of(self, class_id: int) -> str:
        """Return the name of a class id; ConfigError when it is out of range."""
        if not 0 <= class_id < len(self.names):
            raise ConfigError([f"no class id {class_id}; there are {len(self.names)} classes"])
        return self.names[class_id]
