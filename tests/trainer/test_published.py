"""Published weights: fetched once by name, and taken only with the sha256 that the name tells."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from trainer.backends.learning.starting.published import fetch_weights, published
from trainer.errors import ConfigError, TrainingError

WEIGHTS = {"layer.weight": torch.arange(6.0).reshape(2, 3)}


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Yield a folder and the address at which a server shows it."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that torch keeps fetched files in."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def offered(folder: Path, digits: str = "") -> str:
    """Put weights on the site; return their file's name, with these digits or the right ones."""
    path = folder / "part"
    torch.save(WEIGHTS, path)
    name = f"net-{digits or hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
    path.rename(folder / name)
    return name


def test_the_right_weights_are_fetched_once(site: tuple[Path, str], cache: Path) -> None:
    folder, url = site
    name = offered(folder)

    first = fetch_weights(f"{url}/{name}", "fit")
    (folder / name).unlink()
    again = fetch_weights(f"{url}/{name}", "fit")

    assert torch.equal(first["layer.weight"], WEIGHTS["layer.weight"])
    assert torch.equal(again["layer.weight"], WEIGHTS["layer.weight"])
    assert [path.name for path in cache.iterdir()] == [name]


def test_weights_of_another_sha256_are_refused_and_not_kept(
    site: tuple[Path, str], cache: Path
) -> None:
    folder, url = site
    name = offered(folder, digits="0badcafe")

    with pytest.raises(
        TrainingError, match=r"net-0badcafe.pth cannot be downloaded: .*0badcafe.*Put the"
    ):
        fetch_weights(f"{url}/{name}", "fit")

    assert not list(cache.iterdir())


def test_a_cached_file_that_was_changed_is_refused(site: tuple[Path, str], cache: Path) -> None:
    folder, url = site
    name = offered(folder)
    fetch_weights(f"{url}/{name}", "fit")
    with (cache / name).open("ab") as file:
        file.write(b"\0")

    with pytest.raises(TrainingError, match="a sha256 that starts with .* found .*remove the file"):
        fetch_weights(f"{url}/{name}", "fit")


def test_what_is_not_there_says_where_to_put_it(site: tuple[Path, str], cache: Path) -> None:
    with pytest.raises(TrainingError, match="404") as told:
        fetch_weights(f"{site[1]}/net-0badcafe.pth", "fit")
    assert f"Put the file into {cache}" in str(told.value)
    with pytest.raises(TrainingError, match="contains no sha256"):
        fetch_weights(f"{site[1]}/net.pth", "fit")


def test_a_wrong_file_under_torchvisions_name_is_refused(cache: Path) -> None:
    cache.mkdir(parents=True)
    torch.save(WEIGHTS, cache / "fcos_resnet50_fpn_coco-99b0c9b7.pth")

    with pytest.raises(TrainingError, match="expected a sha256 that starts with 99b0c9b7"):
        published("fcos_resnet50_fpn", "fit")
    with pytest.raises(ConfigError, match="publishes no weights of fcos_resnet18_fpn"):
        published("fcos_resnet18_fpn", "fit")
