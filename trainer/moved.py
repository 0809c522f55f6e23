"""Keep the names of version 0.1 importable for one more version.

Importing the old name of a module returns the module under its new name, the same object; asking a
module for the old name of a class, function or constant returns what has the new one. Both with a
DeprecationWarning.
"""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import MappingProxyType, ModuleType
from typing import Any

Keywords = Mapping[str, Mapping[str, str]]  # by function: old keyword to new


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


class _Renamed(MetaPathFinder):
    """Import hook for modules whose names have changed: gives each a look at the old ones."""

    def __init__(self) -> None:
        self.names: dict[str, Mapping[str, str]] = {}
        self.keywords: dict[str, Keywords] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module of the tables, with the look at its old names added."""
        if name not in self.names and name not in self.keywords:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            names, keywords = self.names.get(name, {}), self.keywords.get(name, {})
            spec.loader = _WithOldNames(spec.loader, names, keywords)
        return spec


class _WithOldNames(Loader):
    """A loader that adds the old names to what another one loads."""

    def __init__(self, loader: Loader, names: Mapping[str, str], keywords: Keywords) -> None:
        self._loader, self._names, self._keywords = loader, names, keywords

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # resources, source lines, whether it is a package

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Load, then add the look at old names behind the module's own."""
        self._loader.exec_module(module)
        _add_old_names(module, self._names)
        _add_old_keywords(module, self._keywords)


_FINDER, _RENAMED = _Moved(), _Renamed()


def moved(
    names: Mapping[str, str],
    packages: Sequence[str] = (),
    renamed: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    keywords: Mapping[str, Keywords] = MappingProxyType({}),
) -> None:
    """Register old names, of modules that are imported already too.

    packages: folders that no longer exist, whose modules are in names. renamed: by module, old
    name to new; a new one that stands elsewhere is "module:name". keywords: by module and function
    (or class), old keyword to new.
    """
    _FINDER.names.update(names)
    _FINDER.packages.update(packages)
    _RENAMED.names.update(renamed)
    _RENAMED.keywords.update(keywords)
    for module in {*renamed, *keywords} & sys.modules.keys():
        _add_old_names(sys.modules[module], renamed.get(module, {}))
        _add_old_keywords(sys.modules[module], keywords.get(module, {}))
    for finder in (_RENAMED, _FINDER):
        if finder not in sys.meta_path:
            sys.meta_path.insert(0, finder)


def _add_old_names(module: ModuleType, names: Mapping[str, str]) -> None:
    """Let a module answer to old names, after what it answers to by itself."""
    own = vars(module).get("__getattr__")

    def __getattr__(name: str) -> Any:  # noqa: N807 - it is one
        new = names.get(name)
        if new is None:
            if own is not None:
                return own(name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        place, _, last = new.rpartition(":")
        found = getattr(importlib.import_module(place) if place else module, last)
        now = f"{place or module.__name__}.{last}"
        warnings.warn(f"{module.__name__}.{name} is now {now}", DeprecationWarning, stacklevel=2)
        return found

    vars(module)["__getattr__"] = __getattr__


def _add_old_keywords(module: ModuleType, keywords: Keywords) -> None:
    for name, table in keywords.items():
        found = vars(module)[name]
        if isinstance(found, type):
            found.__init__ = _with_old_keywords(found.__init__, name, table)  # type: ignore[misc]
        else:
            vars(module)[name] = _with_old_keywords(found, name, table)


def _with_old_keywords(
    function: Callable[..., Any], name: str, keywords: Mapping[str, str]
) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*values: Any, **named: Any) -> Any:
        for old, new in keywords.items():
            if old in named:
                why = f"{name}: {old} is now {new}"
                warnings.warn(why, DeprecationWarning, stacklevel=2)
                named[new] = named.pop(old)
        return function(*values, **named)

    return call


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
