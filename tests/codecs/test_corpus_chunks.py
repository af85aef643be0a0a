"""Every encoded chunk of numcodecs' own fixtures decodes to its array, and encodes to the same bytes again."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs import find
from gpuzarr.codecs.bytes import Bytes
from gpuzarr.codecs.chain import Chain
from gpuzarr.codecs.refused import ADVICE
from gpuzarr.devices.select import holds
from gpuzarr.errors import UnsupportedError
from tests import corpus
from tests.chunks import CPU, encoded_batch
from tests.hardware import complete, host_array

# a time, another version, another library
OTHER_BYTES = {"zlib", "gzip", "zfpy", "pcodec", "blosc", "zstd", "lz4", "json2", "msgpack2"}
SKIPPED = {"json": "a codec of numcodecs before 0.6"}  # ids, and why
pytestmark = corpus.needed


def families() -> list[str]:
    return sorted({row["family"] for row in corpus.numcodecs_rows()}) if corpus.ROOT.is_dir() else []


def chain(row: dict, array: np.ndarray) -> list:
    """The codec, and `bytes` before or after it, as its kind asks."""
    configuration = dict(row["codec"])
    codec = find(configuration.pop("id"), configuration, 2)
    if codec.kind == "array->bytes":
        return [codec]
    if codec.kind == "bytes->bytes":
        return [Bytes(stored=array.dtype), codec]
    stored = next((d for name in ("astype", "encode_dtype") if (d := getattr(codec, name, None)) is not None), None)
    return [codec, Bytes(stored=stored) if stored is not None else Bytes("little")]


def specs(codecs: list, spec: ChunkSpec) -> list:
    made = [spec]
    for codec in codecs:
        made.append(codec.encoded(made[-1]))
    return made[:-1]


def same_objects(found: np.ndarray, array: np.ndarray) -> bool:
    pairs = zip(found.reshape(-1), array.reshape(-1), strict=True)
    return all(np.array_equal(one, other) or one != one or (not one and other is None) for one, other in pairs)


def test_what_is_skipped_is_refused_by_name():
    skipped = [row["codec"] for row in corpus.numcodecs_rows() if row["codec"]["id"] in SKIPPED]
    assert {codec["id"] for codec in skipped} == SKIPPED.keys() <= ADVICE.keys()
    for codec in skipped:
        with pytest.raises(UnsupportedError, match="numcodecs removed it"):
            find(codec["id"], {key: value for key, value in codec.items() if key != "id"}, 2)


@pytest.mark.parametrize("family", families())
def test_fixture(family, device):
    """On a GPU the host decodes what it must; what is encoded again is encoded on the CPU."""
    count = 0
    of_family = [row for row in corpus.numcodecs_rows() if row["family"] == family]
    for row in (row for row in of_family if row["codec"]["id"] not in SKIPPED):
        array, encoded = corpus.numcodecs_chunk(row)
        # a codec of numcodecs takes elements as they lie in memory; json2 as they are numbered
        values = array.T if np.isfortran(array) and family not in ("json2", "msgpack2") else array
        spec = ChunkSpec(values.shape, array.dtype.newbyteorder("="))
        codecs = chain(row, array)
        steps = list(zip(codecs, specs(codecs, spec), strict=True))
        on = device if holds(device, spec.dtype) else CPU  # as arrays are read: a GPU has no objects and strings
        made = host_array(Chain.build(codecs, spec).decode(encoded_batch(encoded), on))
        complete(on)
        assert made.shape == (1, *spec.shape)
        if array.dtype == object:
            assert same_objects(made[0], values), row
        elif row.get("numcodecs_exact", "error" in row):
            assert np.ascontiguousarray(made[0].astype(array.dtype)).tobytes() == values.tobytes(), row
        else:
            lossy = np.ascontiguousarray(made[0].astype(array.dtype)).tobytes()
            assert hashlib.sha256(lossy).hexdigest() == row["numcodecs_dec_sha256"], row
        if family not in OTHER_BYTES:
            again = np.ascontiguousarray(values)[None]
            for codec, each in steps:
                again = codec.encode(again, each, CPU)
            assert again[0].tobytes() == encoded, row
        count += 1
    assert count
