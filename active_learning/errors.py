"""Everything this package raises.

ActiveLearningError
├── InvalidPoolError      a pool, budget or setting that cannot be chosen from
├── EmptyPoolError        there is nothing to choose from
├── UnknownStrategyError  a name that the table does not have
└── ExtensionError        a strategy of another package that cannot be used
"""

from __future__ import annotations


class ActiveLearningError(Exception):
    """The one ancestor of this package's errors."""


class InvalidPoolError(ActiveLearningError, ValueError):
    """The pool, the budget or a setting breaks its contract; the text says which row and why."""


class EmptyPoolError(ActiveLearningError):
    """There is no frame to choose from."""


class UnknownStrategyError(ActiveLearningError, KeyError):
    """No strategy of that name; the text lists the names there are."""

    def __str__(self) -> str:
        """Give the plain text, which KeyError would quote."""
        return str(self.args[0]) if self.args else ""


class ExtensionError(ActiveLearningError):
    """A strategy that another package offers cannot be used; the text names the package."""
