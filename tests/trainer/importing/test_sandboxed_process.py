"""The process that opens strangers' files: what it cannot reach, tried from within."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.importing import sandboxed_process

needs_namespaces = pytest.mark.skipif(
    not sandboxed_process.sandbox_available(),
    reason="this system forbids namespaces; an import is refused here",
)


def inside(script: str, scratch: Path, *hidden: Path) -> subprocess.CompletedProcess[str]:
    scratch.mkdir(exist_ok=True)
    return sandboxed_process.run_sandboxed(
        [sys.executable, "-c", script], scratch, hidden=hidden, seconds=60
    )


@needs_namespaces
def test_it_sees_no_variable_of_ours_and_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "s3cret")
    # Our own environment as other processes read it is that of our start: a child of ours has it.
    other = subprocess.Popen(["sleep", "60"], env={**os.environ, "CVAT_ACCESS_TOKEN": "s3cret"})
    script = (
        "import glob\n"
        "for path in glob.glob('/proc/*/environ'):\n"
        "    print(path, open(path, 'rb').read())"
    )
    try:
        seen = inside(script, tmp_path / "scratch")
        assert "s3cret" in Path(f"/proc/{other.pid}/environ").read_text()
    finally:
        other.kill()
        other.wait()
    assert seen.returncode == 0, seen.stderr
    assert "/proc/1/environ" in seen.stdout
    assert "s3cret" not in seen.stdout


@needs_namespaces
def test_it_reaches_no_service_of_this_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        socket.create_connection(("127.0.0.1", port), 5).close()
        seen = inside(script, tmp_path / "scratch")
    assert seen.returncode
    assert "OSError" in seen.stderr or "Error: [Errno" in seen.stderr


@needs_namespaces
@pytest.mark.parametrize("lift", ["", "umount", "umount -l", "unshare --user -r --mount umount"])
def test_it_finds_a_hidden_folder_empty_and_cannot_lift_the_cover(
    lift: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "webhook.secret").write_text("s3cret")
    script = (
        "import os, subprocess\n"
        f"lift = {lift.split()!r}\n"
        f"if lift: print(subprocess.run([*lift, {str(home)!r}]).returncode)\n"
        f"print(os.listdir({str(home)!r}))"
    )
    seen = inside(script, tmp_path / "scratch", home)
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.splitlines()[-1] == "[]"
    assert seen.stdout.splitlines()[0] != "0"


@needs_namespaces
def test_a_folder_that_holds_what_it_needs_is_hidden_but_for_that(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "key").write_text("s3cret")
    (tmp_path / ".netrc").write_text("s3cret")
    script = (
        f"import os; print(os.listdir({str(tmp_path / 'other')!r}),"
        f" repr(open({str(tmp_path / '.netrc')!r}).read())); open('made', 'w').write('x')"
    )
    seen = inside(script, tmp_path / "scratch", tmp_path)
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.strip() == "[] ''"
    assert (tmp_path / "scratch" / "made").read_text() == "x"


def test_where_a_process_cannot_be_cut_off_a_pickle_is_refused_and_told_why(
    tmp_path: Path,
) -> None:
    """A system without unshare, as the program meets it; with --trusted it is opened."""
    script = (
        "import sys, torch; from pathlib import Path; from trainer.errors import ModelFileError\n"
        "from trainer.importing import ImportRequest, import_model\n"
        "torch.save(torch.nn.Conv2d(3, 4, 1).state_dict(), 'state.pt')\n"
        "for trusted in (False, True):\n"
        "    asked = ImportRequest(Path('state.pt'), 'x', trusted=trusted)\n"
        "    try: import_model(asked, Path('out'))\n"
        "    except ModelFileError as error: print(error)"
    )
    (tmp_path / "bin").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            "PATH": str(tmp_path / "bin"),
            "PYTHONPATH": str(sandboxed_process.ROOT),
            "HOME": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    refused, opened = done.stdout.splitlines()
    assert "does not allow sandboxed processes" in refused
    assert "--trusted" in refused
    assert "state dict" in opened
