"""The package's README runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import active_learning
from active_learning.strategies import STRATEGIES

README = Path(active_learning.__file__).parent / "README.md"


def test_the_examples_run_and_choose_twenty_frames(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    try:
        for block in blocks:
            exec(block, names)  # noqa: S102  our own README
    finally:
        STRATEGIES.pop("narrow_and_wide", None)

    assert len(blocks) == 2
    assert len(names["batch"].ids) == 20
    assert names["batch"].strategy == "narrow_and_wide"
    assert capsys.readouterr().out.count("control arm") == 2


def test_the_table_of_files_names_files_there_are():
    table = [line for line in README.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    named = [name for line in table for name in re.findall(r"`([\w/]+)`", line.split("|")[1])]

    assert len(named) > 10
    assert [n for n in named if not (README.parent / f"{n}.py").is_file()] == []
