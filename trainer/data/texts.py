"""Read text files with or without byte-order mark and with any line endings."""

from __future__ import annotations

import codecs
from pathlib import Path

from trainer.data.files import check_plain

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path) -> str:
    """Return a text in UTF-8, or in the encoding of its byte-order mark, with line feeds.

    Raises OSError, and UnicodeDecodeError for bytes of another encoding.
    """
    check_plain(path)
    content = path.read_bytes()
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
