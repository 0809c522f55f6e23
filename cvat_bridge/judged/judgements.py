"""The words for what is recorded."""

from __future__ import annotations

from typing import Literal

# holdout: frozen frames; control: drawn by chance from the pool; corrected: every frame that
# people finished after the model had pre-annotated it. The first two are unbiased.
Source = Literal["holdout", "control", "corrected"]
Kind = Literal["missed", "wrong class", "loose box", "ghost"]
SOURCES: tuple[Source, ...] = ("holdout", "control", "corrected")
KINDS: tuple[Kind, ...] = ("missed", "wrong class", "loose box", "ghost")
