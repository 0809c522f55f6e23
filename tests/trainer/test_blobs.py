"""The store of artefacts, as a folder and on a real S3 server: one suite, both."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.fakes.seaweed import SECRET
from trainer.blobs.errors import BlobDamagedError, BlobError, BlobMissingError
from trainer.blobs.folders import fetch_folder, files_of, put_folder
from trainer.blobs.names import Named, get_name, names, remove_name, set_name
from trainer.blobs.store import BlobStore, place_of
from trainer.blobs.sweep import LEAST_AGE, sweep

WEEK = timedelta(days=7)


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path, monkeypatch):
    if request.param == "folder":
        return BlobStore(tmp_path / "store").create()
    server = request.getfixturevalue("s3")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return BlobStore(f"{server.bucket('tests')}/{uuid.uuid4().hex}", timeout=20).create()


def folder_of(parent: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return parent


def spoil(store: BlobStore, sha256: str, content: bytes) -> None:
    store.files.write(place_of(sha256), content)


def test_a_file_is_named_by_its_content_and_comes_back_as_it_was(store, tmp_path):
    store.create()
    (tmp_path / "weights").write_bytes(b"w" * 3_000_000)

    name = store.put_file(tmp_path / "weights")

    assert name == hashlib.sha256(b"w" * 3_000_000).hexdigest()
    assert store.put(b"w" * 3_000_000) == name
    assert store.read(name) == b"w" * 3_000_000
    assert store.fetch(name, tmp_path / "cache" / "here").read_bytes() == b"w" * 3_000_000
    assert [blob.sha256 for blob in store.blobs()] == [name], "stored once, checks leave nothing"
    assert store.has(name) and not store.has("0" * 64)
    store.remove(name)
    store.remove(name)
    assert not store.has(name)
    with pytest.raises(BlobMissingError, match="no such file"):
        store.read(name)


def test_wrong_bytes_are_told_and_never_reach_the_cache(store, tmp_path):
    name = store.put(b"right")
    spoil(store, name, b"wrong")

    with pytest.raises(BlobDamagedError, match=f"{name}.*gave wrong bytes 2 times"):
        store.fetch(name, tmp_path / "cache" / "here")
    with pytest.raises(BlobDamagedError):
        store.read(name)
    assert list((tmp_path / "cache").iterdir()) == []

    spoil(store, name, b"cut")
    assert store.put(b"right") == name, "who has the right bytes mends a file that was cut short"
    assert store.read(name) == b"right"


def test_folders_that_share_files_share_them_in_the_store(store, tmp_path):
    first = folder_of(tmp_path / "a", {"card.json": b"{}", "in/model.onnx": b"m" * 1000})
    second = folder_of(tmp_path / "b", {"card.json": b"{ }", "in/model.onnx": b"m" * 1000})

    one, two = put_folder(store, first), put_folder(store, second)

    assert len(list(store.blobs())) == 5, "two lists, two cards, one model"
    assert put_folder(store, first) == one
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: fetch_folder(store, two, tmp_path / "c"), range(4)))
    assert set(places) == {tmp_path / "c"}
    assert (tmp_path / "c" / "in" / "model.onnx").read_bytes() == b"m" * 1000
    assert (tmp_path / "c" / "card.json").read_bytes() == b"{ }"
    only = put_folder(store, first, wanted=lambda name: name.endswith(".onnx"))
    assert list(files_of(store, only)) == ["in/model.onnx"]

    spoil(store, files_of(store, one)["card.json"], b"xx")
    with pytest.raises(BlobDamagedError):
        fetch_folder(store, one, tmp_path / "d")
    assert sorted(path.name for path in tmp_path.iterdir() if "d" in path.name) == [], "all or none"


def test_a_list_that_leaves_its_folder_is_refused(store, tmp_path):
    name = store.put(b'{"format": "folder/1", "files": {"../../evil": "%s"}}' % (b"0" * 64))

    with pytest.raises(BlobDamagedError, match="leaves its folder"):
        fetch_folder(store, name, tmp_path / "here")
    with pytest.raises(BlobDamagedError, match="no list of files"):
        fetch_folder(store, store.put(b"\x00binary"), tmp_path / "here")


def test_names_change_and_their_listing_shows_it(store):
    assert list(names(store)) == [] and get_name(store, "bundles", "a/b: c") is None
    set_name(store, Named("bundles", "a/b: c", "1" * 64, details={"of": [1, None]}))
    (before,) = names(store, "bundles")
    set_name(store, Named("bundles", "a/b: c", "2" * 64, folder=True, also=("3" * 64,)))
    set_name(store, Named("snapshots", "x", "1" * 64))

    assert get_name(store, "bundles", "a/b: c") == Named(
        "bundles", "a/b: c", "2" * 64, folder=True, also=("3" * 64,)
    )
    (after,) = names(store, "bundles")
    assert (after.kind, after.name) == ("bundles", "a/b: c") and after.changed != before.changed
    assert {row.kind for row in names(store)} == {"bundles", "snapshots"}
    remove_name(store, "bundles", "a/b: c")
    assert get_name(store, "bundles", "a/b: c") is None


def test_an_unreadable_name_is_told_not_taken_for_none(store):
    store.files.write("names/bundles/x.json", b"{")

    with pytest.raises(BlobDamagedError, match="names/bundles/x"):
        get_name(store, "bundles", "x")
    with pytest.raises(BlobDamagedError):
        sweep(store)


class Aged(BlobStore):
    """A store whose clock is ahead, so that what was just written is old."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


def test_a_sweep_takes_what_is_old_and_has_no_name(tmp_path):
    store = Aged(tmp_path / "store").create()
    kept = put_folder(store, folder_of(tmp_path / "a", {"x": b"shared", "y": b"kept"}))
    lost = put_folder(store, folder_of(tmp_path / "b", {"x": b"shared", "y": b"lost"}))
    extra = put_folder(store, folder_of(tmp_path / "c", {"z": b"also"}))
    single, fit = store.put(b"single"), store.put(b"checkpoint")
    set_name(store, Named("bundles", "a", kept, folder=True, also=(extra,)))
    set_name(store, Named("thumbnails", "s", single))
    set_name(store, Named("checkpoints", "fit", fit))

    assert sweep(store).removed == 0, "what is young may be about to be named"
    store.ahead = timedelta(days=8)
    told = sweep(store, age=WEEK, expire={"checkpoints": WEEK}, dry=True)
    assert (told.removed, told.expired) == (3, ("checkpoints/fit",))
    assert store.has(lost) and get_name(store, "checkpoints", "fit")

    assert sweep(store, age=WEEK, expire={"checkpoints": WEEK}) == told
    assert not store.has(lost) and not store.has(fit)
    assert get_name(store, "checkpoints", "fit") is None
    assert fetch_folder(store, kept, tmp_path / "back") and store.read(single) == b"single"
    assert fetch_folder(store, extra, tmp_path / "more")
    with pytest.raises(ValueError, match="age must be"):
        sweep(store, age=LEAST_AGE / 2)


def test_an_old_file_that_is_put_again_is_young_again(tmp_path):
    store = BlobStore(tmp_path / "store").create()
    name = store.put(b"again")
    (path,) = (tmp_path / "store").rglob(name)
    month = (datetime.now(timezone.utc) - timedelta(days=30)).timestamp()
    os.utime(path, (month, month))

    assert store.put(b"again") == name

    assert sweep(store).removed == 0 and store.read(name) == b"again"


def test_what_a_killed_writer_leaves_is_no_file_of_the_store(tmp_path):
    store = BlobStore(tmp_path / "store").create()
    name = store.put(b"whole")
    (path,) = (tmp_path / "store").rglob(name)
    (path.parent / ".put-abc").write_bytes(b"wh")

    assert [blob.sha256 for blob in store.blobs()] == [name]


def test_a_full_disk_is_told_and_loses_nothing(tmp_path):
    # A limit on the size of files is the only full disk that needs no disk of its own.
    code = (
        "import resource, signal, sys; from trainer.blobs.store import BlobStore\n"
        "from trainer.blobs.errors import BlobError\n"
        "store = BlobStore(sys.argv[1]).create(); first = store.put(b'first')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try: store.put(b'x' * (2 << 20))\n"
        "except BlobError as error: print(error)\n"
        "assert store.read(first) == b'first' and len(list(store.blobs())) == 1\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "raise the limit" in told.stdout
    assert not [p for p in (tmp_path / "store").rglob("*") if p.name.startswith(".put")]


def test_a_folder_without_rights_is_told(tmp_path):
    (tmp_path / "store").write_text("a file stands where the folder is expected")

    with pytest.raises(BlobError, match=f"{tmp_path}/store.*"):
        BlobStore(tmp_path / "store").create()


def test_a_place_without_a_store_is_not_an_empty_store(tmp_path):
    store = BlobStore(tmp_path / "mount").create()
    name = store.put(b"x")
    (tmp_path / "mount").rename(tmp_path / "elsewhere")
    (tmp_path / "mount").mkdir()

    for work in (lambda: list(names(store)), lambda: store.put(b"y"), lambda: sweep(store)):
        with pytest.raises(BlobError, match="is the disk mounted"):
            work()
    assert list((tmp_path / "mount").iterdir()) == []
    assert BlobStore(tmp_path / "elsewhere").read(name) == b"x"


def test_an_address_nobody_can_serve_is_told():
    with pytest.raises(BlobError, match="carrier://pigeon"):
        BlobStore("carrier://pigeon/x").create()


def test_a_bucket_that_is_not_there_wrong_keys_and_no_server_each_have_their_sentence(
    s3, monkeypatch
):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BlobError, match="bucket does not exist; create the bucket"):
        BlobStore("s3://nobody-made-this/x").create()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(BlobError, match=r"give this account the right") as refused:
        BlobStore("s3://nobody-made-this/x").create()
    assert SECRET not in str(refused.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BlobError, match="is the server running, and is AWS_ENDPOINT_URL"):
        BlobStore("s3://nobody-made-this/x", timeout=1).create()


class Full(BaseHTTPRequestHandler):
    """An S3 server without space."""

    def do_PUT(self) -> None:
        body = b"<Error><Code>XMinioStorageFull</Code><Message>Storage backend has reached its "
        body += b"minimum free drive threshold.</Message></Error>"
        self.send_response(507)
        self.send_header("connection", "close")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def do_GET(self) -> None:
        body = b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def test_a_full_server_is_told(s3, monkeypatch):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    with ThreadingHTTPServer(("127.0.0.1", 0), Full) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(BlobError, match="minimum free drive threshold"):
            BlobStore("s3://bucket/x", timeout=5).create()
        server.shutdown()


def test_a_server_that_hangs_is_told_and_serves_again_afterwards(s3, monkeypatch):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    store = BlobStore(f"{s3.bucket('tests')}/hanging", timeout=0.5).create()
    name = store.put(b"kept")
    s3.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(BlobError):
            store.read(name)
        took = time.monotonic() - began
    finally:
        s3.process.send_signal(signal.SIGCONT)

    assert took < 60, took
    assert BlobStore("s3://tests/hanging").read(name) == b"kept"
