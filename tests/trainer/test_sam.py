"""SAM weights behind the same seam; random ones, since the network is what is tested here."""

import cv2
import numpy as np
import pytest
import torch

from trainer import engines
from trainer.backends.sam.__main__ import main
from trainer.backends.sam.engine import architecture
from trainer.bundles.bundle import read_bundle
from trainer.errors import BundleError


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam")
    torch.save(architecture("mobile_sam", folder).state_dict(), folder / "own.pt")
    return folder / "own.pt"


def test_a_teams_weights_become_a_bundle_on_which_the_clicks_hold(weights, tmp_path):
    asked = ["--weights", str(weights), "--licence", "Apache-2.0", "--out", str(tmp_path / "b")]
    assert main(asked) == 0
    interactor = engines.load_interactor(read_bundle(tmp_path / "b"))
    data = cv2.imencode(".png", np.full((60, 90, 3), 90, np.uint8))[1].tobytes()
    clicks = np.array([[20.5, 30.5], [45.5, 10.5], [70.5, 30.5], [45.5, 50.5]])

    (found,), size = interactor.segment(
        data, positive=clicks, negative=np.array([[60.5, 40.5]]), box=None
    )

    frame = np.zeros(size, bool)
    height, width = found.mask.bitmap.shape
    frame[found.mask.top :, found.mask.left :][:height, :width] = found.mask.bitmap
    assert size == (60, 90)
    assert all(frame[int(y), int(x)] for x, y in clicks)
    assert not frame[40, 60]
    assert 0 <= found.confidence <= 1


def test_weights_of_another_network_are_told_when_the_bundle_is_made(tmp_path):
    torch.save({"layer": torch.zeros(3)}, tmp_path / "other.pt")

    asked = ["--weights", str(tmp_path / "other.pt"), "--licence", "MIT"]

    with pytest.raises(BundleError, match="the weights of mobile_sam"):
        main([*asked, "--out", str(tmp_path / "b")])
