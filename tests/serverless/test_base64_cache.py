"""The base64 of an image that comes with every click on it."""

import base64
import binascii

import pytest

from serverless.wire.base64_cache import Base64Cache


def text_of(data):
    return base64.b64encode(data).decode()


def test_the_same_text_is_unpacked_once_and_the_last_ones_are_kept_within_a_bound():
    first, second, third = b"a" * 40, b"b" * 40, b"c" * 40
    kept = Base64Cache(max_bytes=100)

    before = kept.read(text_of(first))
    kept.read(text_of(second))
    assert kept.read(text_of(first)) is before
    kept.read(text_of(third))  # lets go of the one not asked for longest, the second

    assert before == first
    assert kept.held_bytes == 80
    assert kept.read(text_of(first)) is before


def test_what_is_larger_than_the_bound_is_read_and_not_kept():
    kept = Base64Cache(max_bytes=10)

    assert kept.read(text_of(b"d" * 40)) == b"d" * 40
    assert kept.held_bytes == 0


@pytest.mark.parametrize("text", ["no base64!", "abc", "ab\ncd", "\u00e4bcd", "\ud800"])
def test_what_is_no_base64_is_told_and_not_kept(text):
    kept = Base64Cache()

    for _ in range(2):
        with pytest.raises((binascii.Error, ValueError)):
            kept.read(text)

    assert kept.held_bytes == 0
