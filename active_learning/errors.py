"""Everything this package raises.

ActiveLearningError
├── InvalidPoolError      an invalid pool, budget or setting
├── EmptyPoolError        there is nothing to select from
├── UnknownStrategyError  a name that is not in the table
└── ExtensionError        a strategy of another package that cannot be used
"""

from __future__ import annotations


class ActiveLearningError(Exception):
    """Base class of this package's errors."""


class InvalidPoolError(ActiveLearningError, ValueError):
    """The pool, the budget or a setting is invalid; the message names the row and the reason."""


class EmptyPoolError(ActiveLearningError):
    """There is no frame to select from."""


class UnknownStrategyError(ActiveLearningError, KeyError):
    """Unknown strategy name; the message lists the known names."""

    def __str__(self) -> str:
        """Return the plain text, which KeyError would quote."""
        return str(self.args[0]) if self.args else ""


class ExtensionError(ActiveLearningError):
    """A strategy of another package cannot be used; the message names the package."""
