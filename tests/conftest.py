"""The longest file begins first, so that it doesn't run alone at the end."""

from __future__ import annotations

import pytest

LONGEST = ("test_killed.py", "test_yolo.py", "test_recordings.py", "test_cli.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files by how long they take, and keep the order inside them."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
