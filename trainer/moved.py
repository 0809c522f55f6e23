"""Keep the module names of version 0.1 importable for one more version.

Importing an old name returns the module under its new name, the same object, with a
DeprecationWarning.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Moved(MetaPathFinder, Loader):
    """Import hook for old names only; a folder that is gone is an empty package."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.packages: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for an old name, None for all others."""
        del path, target
        if name in self.packages:
            return ModuleSpec(name, self, is_package=True)
        return ModuleSpec(name, self) if self._new(name) else None

    def exec_module(self, module: ModuleType) -> None:
        """Replace the empty module by the one under its new name."""
        name = module.__name__
        if name in self.packages:
            return
        new = self._new(name)
        warnings.warn(f"{name} is now {new}", DeprecationWarning, stacklevel=2)
        sys.modules[name] = importlib.import_module(new)

    def _new(self, name: str) -> str:
        """Return the new name of a module, "" for one that did not move; submodules follow."""
        whole, rest = name, ""
        while whole.count("."):
            if whole in self.names:
                return self.names[whole] + rest
            whole, _, last = whole.rpartition(".")
            rest = f".{last}{rest}"
        return ""


_FINDER = _Moved()


def moved(names: dict[str, str], packages: Sequence[str] = ()) -> None:
    """Register old names. packages: folders that no longer exist, whose modules are in names."""
    _FINDER.names.update(names)
    _FINDER.packages.update(packages)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def names_of(module: str) -> Callable[[str], Any]:
    """Return the __getattr__ of a package that was a module: its old names are looked up there."""

    def __getattr__(name: str) -> Any:  # noqa: N807 - it is one
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(importlib.import_module(module), name)
        package = module.rpartition(".")[0]
        warnings.warn(f"{package}.{name} is now {module}.{name}", DeprecationWarning, stacklevel=2)
        return found

    return __getattr__
