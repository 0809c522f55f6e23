from __future__ import annotations

import numpy as np
import pytest

from cvat_bridge.errors import LedgerError
from cvat_bridge.frames.predictions import PredictionStore
from trainer.detections import Detections, Mask


def detections(count, *, masks=False, probabilities=True, seed=0):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 50, (count, 2)).astype(np.float32)
    bitmaps = [rng.random((3 + i, 5)) > 0.5 for i in range(count)]
    return Detections(
        boxes=np.hstack([corners, corners + 5]),
        scores=np.sort(rng.uniform(0, 1, count).astype(np.float32))[::-1],
        class_ids=rng.integers(0, 2, count),
        probabilities=rng.uniform(0, 1, (count, 2)).astype(np.float32) if probabilities else None,
        masks=tuple(Mask(b, 4, i) for i, b in enumerate(bitmaps)) if masks else None,
        embedding=rng.normal(size=8).astype(np.float32),
        head="softmax",
    )


@pytest.mark.parametrize(
    "found",
    [
        detections(3),
        detections(3, masks=True),
        detections(0, masks=True),
        detections(2, probabilities=False),
        Detections.empty(classes=2),
    ],
    ids=["boxes", "masks", "no mask", "winners only", "nothing"],
)
def test_what_was_found_comes_back_as_it_was(tmp_path, found):
    with PredictionStore(tmp_path, "m1", labels=["a", "b"]) as store:
        store.put({"f" * 64: found})
    with PredictionStore(tmp_path, "m1") as store:
        back = store.get(["f" * 64, "0" * 64])
        labels = store.labels

    assert set(back) == {"f" * 64}
    assert labels == ("a", "b")
    for name in ("boxes", "scores", "class_ids", "probabilities", "embedding"):
        np.testing.assert_array_equal(getattr(back["f" * 64], name), getattr(found, name))
    assert back["f" * 64].head == found.head
    if found.masks is None:
        assert back["f" * 64].masks is None
    else:
        assert [(m.bitmap.tolist(), m.left, m.top) for m in back["f" * 64].masks] == [
            (m.bitmap.tolist(), m.left, m.top) for m in found.masks
        ]


def test_one_version_cannot_have_two_label_maps(tmp_path):
    PredictionStore(tmp_path, "m1", labels=["a", "b"]).close()

    with pytest.raises(LedgerError, match="two models go by one version"):
        PredictionStore(tmp_path, "m1", labels=["b", "a"])


def test_any_text_can_name_a_model(tmp_path):
    with PredictionStore(tmp_path, "../team/yolo v8:ü", labels=["a"]) as store:
        assert store.path.parent == tmp_path
