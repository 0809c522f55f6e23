"""How a model's classes are shown to CVAT's menu: each with its label's type."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.masks.interactors import interactor_id
from cvat_bridge.models.publishing import publish_champion, shown_labels
from serverless.store.functions import Entry, entries, publish
from tests.serverless.fakes import bundle
from trainer.registry.registry import Registry

TYPES = ("rectangle", "ellipse", "polygon", "mask", "any", "points", "skeleton", "tag")
LABELS = tuple(Label(n, kind, kind) for n, kind in enumerate(TYPES))


@pytest.mark.parametrize("task", ["boxes", "masks"])
def test_every_class_is_declared_as_its_label_takes_it(task: str, tmp_path: Path) -> None:
    """CVAT matches by type. What no detection fits is not offered, as a round leaves it out."""
    card = bundle(tmp_path / "b", task=task, labels=TYPES).card

    shown = shown_labels(card, {}, LABELS)

    assert [(label.source, label.type) for label in shown] == [
        (kind, kind) for kind in ("rectangle", "ellipse", "polygon", "mask", "any")
    ]


def test_the_champions_masks_are_made_by_the_interactor_that_serves_the_project(
    tmp_path: Path,
) -> None:
    made = bundle(tmp_path / "b")
    registry = Registry(None, tmp_path / "home")
    registry.register("project-3", made)
    champion = registry.promote("project-3", made.version)
    store, own = tmp_path / "functions", tmp_path / "clicks"

    def published() -> Entry:
        return publish_champion(
            store, function_id="c", name="C", champion=champion, project_key="project-3",
            labels=(Label(1, "cell", "polygon"), Label(2, "platelet", "rectangle")),
        )  # fmt: skip

    before = published()
    publish(store, Entry(interactor_id("project-3"), "interactor", "E", "e", own, "v"))
    after = published()

    assert (before.interactor, after.interactor) == (None, own)
    assert [label.type for label in after.labels] == ["polygon", "rectangle"]
    assert [entry.interactor for entry in entries(store) if entry.id == "c"] == [own]
