"""Right chunks that hostile ones are made of: what codecs encode, and what numcodecs' own fixtures hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec
from gpuzarr.codecs import find
from tests import corpus
from tests.laws.codecs import CodecCase

OF_THE_CORPUS = 4  # for each codec
MAX_BYTES = 4 << 10  # of an encoded chunk of the corpus, and of its array


@dataclass(frozen=True)
class Seed:
    """A codec, what one of its chunks is, and the encoded chunk."""

    codec: Any
    spec: Any
    good: bytes


def seeds(case: CodecCase) -> list[Seed]:
    found = [Seed(case.codec, case.spec, case.encoded())]
    return [*found, *(seed for seed in of_corpus() if type(seed.codec) is type(case.codec))][: OF_THE_CORPUS + 1]


@cache
def of_corpus() -> tuple[Seed, ...]:
    return tuple(sorted(_of_corpus(), key=lambda seed: (len(seed.good) * 2654435761) % 2**32))


def _of_corpus() -> Iterator[Seed]:
    for row in corpus.numcodecs_rows():
        array, encoded = corpus.numcodecs_chunk(row)
        configuration = dict(row["codec"])
        if (id := configuration.pop("id")) == "json" or max(len(encoded), array.nbytes) > MAX_BYTES or not encoded:
            continue
        codec = find(id, configuration, 2)
        if codec.kind == "bytes->bytes":
            yield Seed(codec, BytesSpec(array.nbytes), encoded)
        elif codec.kind == "array->bytes":
            is_flat = np.isfortran(array) and id not in ("json2", "msgpack2")  # as elements lie in memory
            shape = array.shape[::-1] if is_flat else array.shape
            yield Seed(codec, ChunkSpec(shape, array.dtype.newbyteorder("=")), encoded)
