"""Elements of variable length by way of rows are those of numcodecs, and what is no UTF-8 is refused as by Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numcodecs.vlen import VLenBytes, VLenUTF8

from gpuzarr.batch import ChunkSpec, EncodedBatch
from gpuzarr.codecs import find
from gpuzarr.cpu import vlen_rows
from gpuzarr.devices.cpu import CPU
from gpuzarr.dtypes import parse_v3
from gpuzarr.errors import CodecError

TEXT = parse_v3("string").dtype
WORDS = st.one_of(
    st.text(max_size=9), st.sampled_from(["", "a", "öß", "日本語", "\0", "a\0", "\0a", "🙂", "\U0010ffff"])
)


def stored_of(items: list[bytes]) -> bytes:
    return b"".join([len(items).to_bytes(4, "little"), *(len(each).to_bytes(4, "little") + each for each in items)])


def decoded(name: str, stored: bytes, count: int, dtype: Any, version: int = 2) -> np.ndarray:
    batch = EncodedBatch(np.frombuffer(stored, np.uint8), np.zeros(1, np.int64), np.array([len(stored)]))
    made: np.ndarray = find(name, {}, version).decode(batch, ChunkSpec((count,), np.dtype(dtype)), CPU)
    return made[0]


@given(st.lists(WORDS, min_size=1, max_size=40), st.booleans())
def test_strings(words: list[str], is_uneven: bool) -> None:
    words = [*words, "long" * 9000] if is_uneven else words
    stored = bytes(VLenUTF8().encode(np.array(words, object)))
    objects = decoded("vlen-utf8", stored, len(words), "O")
    assert objects.tolist() == words and {type(each) for each in objects} == {str}
    assert decoded("vlen-utf8", stored, len(words), TEXT, 3).tolist() == words
    fixed = decoded("vlen-utf8", stored, len(words), "U3")
    assert fixed.tolist() == np.array(words, object).astype("U3").tolist()


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=40))
def test_bytes(items: list[bytes]) -> None:
    made = np.empty(len(items), object)
    made[:] = items
    objects = decoded("vlen-bytes", bytes(VLenBytes().encode(made)), len(items), "O")
    assert objects.tolist() == items and {type(each) for each in objects} == {bytes}


@given(st.lists(st.one_of(st.binary(max_size=5), WORDS.map(str.encode)), min_size=1, max_size=5))
def test_what_is_no_utf8_is_refused_as_by_python(items: list[bytes]) -> None:
    try:
        words = [each.decode() for each in items]
    except UnicodeDecodeError:
        words = None
    for dtype, version in (("O", 2), (TEXT, 3)):
        if words is None:
            with pytest.raises(CodecError, match="utf-8"):
                decoded("vlen-utf8", stored_of(items), len(items), dtype, version)
        else:
            assert decoded("vlen-utf8", stored_of(items), len(items), dtype, version).tolist() == words


OVERLONG = [b"\xc0\x80", b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf"]
NONE = [b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80"]  # surrogates, and beyond the last character


@pytest.mark.parametrize("text", OVERLONG + NONE)
def test_overlong_characters_surrogates_and_too_large_ones(text: bytes) -> None:
    for bad in (text, b"ok" + text, text[:-1] + b"A", b"\xe2\x82", b"\xf0\x9f\x99"):
        with pytest.raises(CodecError, match="utf-8"):
            decoded("vlen-utf8", stored_of([b"ok", bad]), 2, TEXT, 3)


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=5), st.integers(1, 9), st.binary(min_size=1, max_size=9))
def test_damage(items: list[bytes], cut: int, more: bytes) -> None:
    stored = stored_of(items)
    large = stored[:4] + b"\xff\xff\xff\xff" + stored[8:]
    for bad in (stored[:-cut], stored + more, large):
        if bad != stored:
            with pytest.raises(CodecError):
                decoded("vlen-bytes", bad, len(items), "O")


def test_most_strings_come_by_way_of_rows() -> None:
    words = [f"station {number % 300}" for number in range(9000)] + ["Köln", ""]
    stored = np.frombuffer(stored_of([each.encode() for each in words]), np.uint8)
    for dtype in ("O", TEXT):
        target = np.empty(len(words), dtype)
        assert vlen_rows.decode(stored, target, True) == vlen_rows.DECODED
        assert target.tolist() == words
