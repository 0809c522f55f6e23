"""Every family and export of the table in the docs: read rightly, or refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.trainer.importing.exports import (
    BOX,
    EXPORTS,
    SCORE,
    SIDE,
    Export,
    constant,
    told,
    turned,
)
from tests.trainer.importing.exports import rows as rows_of
from trainer.data.class_list import read_classes
from trainer.engines import load
from trainer.errors import ModelFileError, TrainerError
from trainer.importing import ImportRequest, import_model

DOCS = Path(__file__).parents[3] / "docs" / "how-to" / "bring-a-model.md"
FRAME = np.full((SIDE, SIDE, 3), 90, np.uint8)


@pytest.mark.parametrize("export", EXPORTS, ids=lambda e: f"{e.family}, {e.option}")
def test_an_export_is_read_rightly_or_refused_with_what_to_do(
    export: Export, tmp_path: Path
) -> None:
    path, card = export.write(tmp_path)
    request = ImportRequest(path, "m", card=card)
    if export.refused:
        with pytest.raises(TrainerError, match=export.refused) as caught:
            import_model(request, tmp_path / "bundle")
        assert "card" in str(caught.value) or "Export" in str(caught.value)
        assert not (tmp_path / "bundle").exists()
        return
    bundle = import_model(request, tmp_path / "bundle")
    (found,) = load(bundle, threads=1).detect([FRAME], min_score=0.3)
    assert bundle.card.labels.names == ("cat", "dog")
    assert found.class_ids.tolist() == [1]
    np.testing.assert_allclose(found.boxes[0], BOX, atol=0.01)
    assert found.scores[0] == pytest.approx(SCORE, abs=1e-3)


def test_the_table_in_the_docs_is_this_list() -> None:
    lines = {line.strip() for line in DOCS.read_text(encoding="utf-8").splitlines()}
    for export in EXPORTS:
        answer = "refused with what to do" if export.refused else "yes"
        how = "card" if export.card else "by itself"
        assert f"| {export.family} | {export.option} | {how} | {answer} |" in lines


def test_a_file_whose_second_part_is_missing_says_so(tmp_path: Path) -> None:
    path = constant(
        tmp_path / "m.onnx", {"output0": rows_of((1.0,) * 6)}, metadata=told(), external=True
    )
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelFileError, match=r"second file, weights\.bin, which is not next to it"):
        import_model(ImportRequest(path, "m"), tmp_path / "bundle")


@pytest.mark.parametrize(
    "name", ["🚗 car", "𠮷野家", 'it\'s "x"', "a: b\nc", "no", "50 %", "\u2028x"]
)
def test_names_of_any_letters_come_in_as_they_are(name: str, tmp_path: Path) -> None:
    values = turned(rows_of((60.0, 40.0, 40.0, 40.0, 0.9)))
    path = constant(tmp_path / "m.onnx", {"o": values}, metadata=told(names=str({0: name})))
    assert import_model(ImportRequest(path, "m"), tmp_path / "b").card.labels.names == (name,)


@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("c.txt", "no\n🚗 car\n"),
        ("c.yaml", "nc: 2\nnames: [no, 🚗 car]\n"),
        ("c.json", '{"names": ["no", "\\ud83d\\ude97 car"]}\n'),
    ],
)
def test_a_class_list_is_read_whatever_editor_saved_it(
    tmp_path: Path, file: str, text: str, end: str, mark: str
) -> None:
    path = tmp_path / file
    path.write_bytes(text.replace("\n", end).encode(mark))
    assert read_classes(path) == ("no", "🚗 car")
