"""The codec `optional` against chunks that zarrs wrote, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpuzarr import codecs
from gpuzarr.batch import ChunkSpec, EncodedBatch
from gpuzarr.codecs.flat_filter import FlatFilter
from gpuzarr.devices.cpu import Cpu
from gpuzarr.dtypes import parse_v3
from gpuzarr.errors import CodecError, MetadataError

BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
ONE = {"name": "optional", "configuration": {"mask_codecs": ["packbits"], "data_codecs": [BYTES]}}
TWO = {"name": "optional", "configuration": {"mask_codecs": ["packbits"], "data_codecs": [ONE]}}


def optional(inner):
    return parse_v3({"name": "optional", "configuration": {"name": inner} if isinstance(inner, str) else inner})


U1 = optional("uint8")
U1_TWICE = optional({"name": "optional", "configuration": {"name": "uint8"}})


def encoded_batch(*chunks):
    sizes = np.array([len(chunk) for chunk in chunks], np.int64)
    return EncodedBatch(np.frombuffer(b"".join(chunks), np.uint8).copy(), np.cumsum(sizes) - sizes, sizes)


def chunk_of(mask, data):
    return np.array([len(mask), len(data)], "<u8").tobytes() + mask + data


def plain(value):
    """None, or a list of what is inside: the spelling of fill values."""
    if not isinstance(value, np.void):
        return value.item()
    return [plain(value["value"])] if value["valid"] else None


def decode(document, data_type, raw, shape=(2, 2)):
    (codec,) = codecs.parse([document])
    return codec.decode(encoded_batch(raw), ChunkSpec(shape, data_type.dtype), Cpu())[0]


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (chunk_of(b"\x09", b"\0\5"), [[0], None, None, [5]]),
        (chunk_of(b"\x0b", b"\2\3\7"), [[2], [3], None, [7]]),
        (chunk_of(b"\x07", b"\x08\x09\x0c"), [[8], [9], [12], None]),
    ],
)
def test_chunks_that_zarrs_wrote(raw, wanted):
    assert [plain(value) for value in decode(ONE, U1, raw).reshape(-1)] == wanted


def test_nested_chunks_that_zarrs_wrote():
    raw = chunk_of(b"\x0a", chunk_of(b"\x02", b"\x05"))
    assert [plain(value) for value in decode(TWO, U1_TWICE, raw).reshape(-1)] == [None, [None], None, [[5]]]
    assert not decode(TWO, U1_TWICE, chunk_of(b"\0", b""))["valid"].any()


@given(hnp.arrays(np.bool_, (3, 4)), hnp.arrays(np.int16, (3, 4)), st.sampled_from([[BYTES], [BYTES, "crc32c"]]))
def test_round_trip(valid, value, data_codecs):
    (codec,) = codecs.parse(
        [{"name": "optional", "configuration": {"mask_codecs": ["bytes"], "data_codecs": data_codecs}}]
    )
    spec = ChunkSpec((3, 4), optional("int16").dtype)
    batch = np.zeros((2, 3, 4), spec.dtype)
    batch["valid"][1] = valid
    batch["value"][1] = np.where(valid, value, 0)
    encoded = codec.encode(batch, spec, Cpu())
    assert codec.decode(encoded, spec, Cpu()).tobytes() == batch.tobytes()


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"\0" * 15, chunk_of(b"\x09", b"\0\5")[:-1], chunk_of(b"\x09", b"\0\5") + b"\0", b"\xff" * 19),
        *(chunk_of(b"\x09", b"\0"), chunk_of(b"\x09", b"\0\5\6"), chunk_of(b"", b"\0"), chunk_of(b"\0", b"\5")),
    ],
)
def test_bad_chunks_are_refused_by_number(raw):
    (codec,) = codecs.parse([ONE])
    with pytest.raises(CodecError) as caught:
        codec.decode(encoded_batch(chunk_of(b"\x09", b"\0\5"), raw), ChunkSpec((2, 2), U1.dtype), Cpu())
    assert caught.value.index == 1


@pytest.mark.parametrize(
    "configuration",
    [
        *(
            {},
            {"mask_codecs": ["bytes"]},
            {"mask_codecs": 3, "data_codecs": []},
            {"mask_codecs": ["x"], "data_codecs": []},
        ),
        {"mask_codecs": ["bytes"], "data_codecs": ["bytes"], "more": 1},
    ],
    ids=str,
)
def test_bad_configurations(configuration):
    with pytest.raises(MetadataError):
        codecs.find("optional", configuration)


def test_bad_chains_and_other_elements():
    spec = ChunkSpec((2, 2), U1.dtype)
    for names in ([], ["crc32c", "bytes"], ["bytes", "bytes"]):
        codec = codecs.find("optional", {"mask_codecs": names, "data_codecs": ["bytes"]})
        with pytest.raises(MetadataError):
            codec.encoded(spec)
    with pytest.raises(MetadataError):
        codecs.find("optional", ONE["configuration"]).encoded(ChunkSpec((2, 2), np.dtype("u1")))


@pytest.mark.parametrize(("before", "after"), [("<i4", "<i4"), (">i4", ">i2"), ("<i4", ">i4")])
def test_flat_filter_is_what_numcodecs_does(before, after):
    numcodecs = pytest.importorskip("numcodecs")
    values = np.cumsum(np.arange(50) % 7).astype(before)
    theirs = np.asarray(numcodecs.Delta(before, after).encode(values.view(np.uint8))).tobytes()
    ours = FlatFilter(codecs.find("delta", {"dtype": before, "astype": after}, 2), np.dtype(before), np.dtype(after))
    encoded = ours.encode(encoded_batch(values.tobytes(), values.tobytes()), None, Cpu())
    assert [encoded.on_host(i).tobytes() for i in range(2)] == [theirs, theirs]
    from gpuzarr.batch import BytesSpec

    for spec in (BytesSpec(values.nbytes), BytesSpec(None)):
        decoded = ours.decode(encoded, spec, Cpu())
        assert decoded.on_host(1).tobytes() == values.tobytes()
    into = encoded_batch(b"\0" * values.nbytes)
    assert ours.decode(encoded.take(slice(0, 1)), BytesSpec(values.nbytes), Cpu(), into) is into
    assert into.on_host(0).tobytes() == values.tobytes()
    assert ours.encoded(BytesSpec(200)).nbytes == 200 * np.dtype(after).itemsize // 4
    with pytest.raises(CodecError):
        ours.decode(encoded_batch(theirs[:-1]), BytesSpec(values.nbytes), Cpu())
    with pytest.raises(CodecError):
        ours.decode(encoded_batch(theirs + theirs), BytesSpec(values.nbytes), Cpu())
    with pytest.raises(MetadataError):
        ours.encoded(BytesSpec(7))
