"""Elements of any length and Python objects."""

from __future__ import annotations

import pickle
import struct

import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import find, parse, registry
from gpuzarr.codecs.pickle import ALLOW
from gpuzarr.errors import CodecError, MetadataError, UnsupportedError
from tests.chunks import CPU, encoded_batch, spec_of, v2, whole

TEXTS = st.lists(st.text(st.characters(codec="utf-8")), min_size=6, max_size=6)


def objects(items: list, shape: tuple[int, ...]) -> np.ndarray:
    made = np.empty(len(items), object)
    for i, item in enumerate(items):
        made[i] = item
    return made.reshape(shape)


@given(TEXTS)
def test_texts(items):
    for dtype in (object, np.dtypes.StringDType()):
        batch = objects(items, (1, 2, 3)).astype(dtype)
        made = v2("vlen-utf8").encode(batch, spec_of(batch), CPU)
        assert whole(made) == [bytes(numcodecs.VLenUTF8().encode(objects(items, (6,))))]
        back = v2("vlen-utf8").decode(made, spec_of(batch), CPU)
        assert back.dtype == batch.dtype and back.shape == batch.shape and (back == batch).all()


@pytest.mark.parametrize("name", ["vlen-utf8", "json2", "msgpack2"])
def test_f_ordered_texts(name):
    batch = objects(list("abcdef"), (1, 2, 3))
    flipped = np.asfortranarray(batch[0])[None]
    assert not flipped.flags.c_contiguous
    codec = v2(name)
    assert whole(codec.encode(flipped, spec_of(batch), CPU)) == whole(codec.encode(batch, spec_of(batch), CPU))


@given(st.lists(st.binary(max_size=9), min_size=4, max_size=4))
def test_byte_strings(items):
    batch = objects(items, (1, 4))
    for codec in (find("vlen-bytes", {}), find("numcodecs.vlen-bytes", {}), v2("vlen-bytes")):
        made = codec.encode(batch, spec_of(batch), CPU)
        assert codec.decode(made, spec_of(batch), CPU)[0].tolist() == items


def test_counts_and_lengths_are_not_believed():
    spec = ChunkSpec((2,), np.dtype(object))
    good = struct.pack("<II", 2, 1) + b"a" + struct.pack("<I", 1) + b"b"
    for name, extra in (("vlen-utf8", {}), ("vlen-bytes", {}), ("vlen-array", {"dtype": "u1"})):
        codec = v2(name, **extra)
        assert len(codec.decode(encoded_batch(good), spec, CPU)[0]) == 2
        bad = [struct.pack("<I", count) + good[4:] for count in (0, 1, 3, 2**31, 2**32 - 1)]
        bad += [good[:4] + struct.pack("<I", size) + good[8:] for size in (0, 2, 2**31, 2**32 - 1, 2**32 - 8)]
        for chunk in bad:
            with pytest.raises(CodecError) as caught:
                codec.decode(encoded_batch(good, chunk), spec, CPU)
            assert caught.value.index == 1
    with pytest.raises(CodecError, match="utf"):
        v2("vlen-utf8").decode(encoded_batch(good.replace(b"a", b"\xff")), spec, CPU)


DOCUMENTS = """
[1,2
{}
3
[]
["a","|O",[2]]
["a","b","|O",[1]]
["a","b","|O",[-2]]
["a","b","|O","x"]
["a","b","|O",[1000000000000]]
["a","b","|O",[2,1]]
["a","b","|O",null]
"""


@pytest.mark.parametrize(
    "document", [*DOCUMENTS.encode().split(b"\n"), b"[" * 100000, b"\xff\xfe"], ids=lambda d: d[:20]
)
def test_documents_that_are_none(document):
    with pytest.raises(CodecError, match="json2"):
        v2("json2").decode(encoded_batch(document), ChunkSpec((2,), np.dtype(object)), CPU)


def test_json_of_other_dtypes_and_of_no_axes():
    scalar = objects([{"a": [1, None]}], (1,))
    made = v2("json2").encode(scalar, spec_of(scalar), CPU)
    assert v2("json2").decode(made, spec_of(scalar), CPU).tolist() == [{"a": [1, None]}]
    numbers = bytes(numcodecs.JSON().encode(np.arange(6).reshape(2, 3)))
    assert v2("json2").decode(encoded_batch(numbers), ChunkSpec((2, 3), np.dtype("i8")), CPU).tolist() == [
        [[0, 1, 2], [3, 4, 5]]
    ]
    ragged = objects([[1], [2, 3]], (1, 2))
    assert v2("json2").decode(v2("json2").encode(ragged, spec_of(ragged), CPU), spec_of(ragged), CPU)[0, 1] == [2, 3]


def test_pickles_are_refused_unless_allowed():
    batch = objects(["a", ("b", 1)], (1, 2))
    codec = v2("pickle")
    made = codec.encode(batch, spec_of(batch), CPU)
    with pytest.raises(UnsupportedError, match="pickle"):
        codec.decode(made, spec_of(batch), CPU)
    token = ALLOW.set(True)
    try:
        assert codec.decode(made, spec_of(batch), CPU)[0].tolist() == ["a", ("b", 1)]
        for bad in (b"", b"junk", pickle.dumps(3), pickle.dumps(np.zeros(3)), whole(made)[0][:-1]):
            with pytest.raises(CodecError, match="pickle"):
                codec.decode(encoded_batch(bad), spec_of(batch), CPU)
    finally:
        ALLOW.reset(token)


@pytest.mark.parametrize("package, name", [("msgpack", "msgpack2"), ("pcodec", "pcodec"), ("zfpy", "zfpy")])
def test_missing_packages_are_named(package, name, monkeypatch):
    import builtins

    real = builtins.__import__

    def absent(module, *rest, **options):
        if module == package:
            raise ImportError(module)
        return real(module, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UnsupportedError, match=rf"{package}: pip install 'gpuzarr\[codecs\]'"):
        v2(name).decode(encoded_batch(b"x"), ChunkSpec((2,), np.dtype("f4")), CPU)


def test_every_codec_says_what_it_is():
    assert len(registry()) > 80
    for (_, name), codec in registry().items():
        assert codec.kind in ("array->array", "array->bytes", "bytes->bytes")
        assert name in codec.names + codec.ids


def test_unknown_codecs_and_configurations():
    with pytest.raises(UnsupportedError, match="nope"):
        find("nope", {"a": 1})
    for name in ("zlib", "zstd", "gzip", "lz4", "bz2", "shuffle", "packbits", "crc32c", "vlen-utf8", "blosc"):
        with pytest.raises(MetadataError, match=name):
            find(name, {"no_such_field": 1})
    names = [codec.names[0] for codec in parse(["bytes", {"name": "crc32c"}, {"name": "numcodecs.adler32"}])]
    assert names == ["bytes", "crc32c", "numcodecs.adler32"]
