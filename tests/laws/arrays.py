"""Laws that every codec keeps which makes arrays of arrays; laws/array_cases.py has a row for each.

A law is a function of an ArrayCase and a device. It raises AssertionError where it is broken.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec
from gpuzarr.errors import CodecError, UnsupportedError
from tests.chunks import CPU
from tests.hardware import complete

CHUNKS_OF_A_BATCH = 3
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ArrayCase:
    """An array->array codec, and what its chunks are.

    `peer`: numcodecs' codec, for one chunk. `is_lossless`: chunks come back. `shapes`: of chunks: one element, an odd
    number, axes of length 1, more than the threads of a block. `values`: of which chunks are made, or else numbers are.
    """

    codec: Any
    dtype: np.dtype
    peer: Any = None
    is_lossless: bool = False
    shapes: tuple[tuple[int, ...], ...] = ((1,), (7,), (1, 5, 3), (2, 1), (3001,))
    values: tuple[Any, ...] = ()

    def spec(self, shape: tuple[int, ...]) -> ChunkSpec:
        fill_value = None if self.dtype.kind in "OU" else np.zeros((), self.dtype)[()]
        return ChunkSpec(shape, self.dtype, fill_value)

    def batch(self, shape: tuple[int, ...], count: int = CHUNKS_OF_A_BATCH) -> Array:
        """Chunks of numbers that every conversion of the cases can take."""
        rng = np.random.default_rng(prod(shape))
        if self.values:
            return np.array(self.values, self.dtype)[rng.integers(len(self.values), size=(count, *shape))]
        made = rng.integers(0, 2 if self.dtype.kind == "b" else 90, (count, *shape))
        return (made / 8 if self.dtype.kind in "fc" else made).astype(self.dtype)


def on(device: Any, batch: Array) -> Any:
    """A batch on a device. `upload` makes a C-contiguous copy."""
    return device.upload(batch) if device.gpu else batch


def host(made: Any, device: Any) -> Array:
    found = device.download(made) if device.gpu and isinstance(made, device.xp.ndarray) else made
    return np.ascontiguousarray(found.astype(found.dtype.newbyteorder("="), copy=False))


def run(codec: Any, way: str, batch: Any, spec: ChunkSpec, device: Any) -> tuple[str, Any]:
    """What a batch becomes: ("values", dtype, shape and bytes), or ("refused", index of the chunk)."""
    try:
        made = getattr(codec, way)(batch, spec, device)
        complete(device)
    except CodecError as error:
        return "refused", error.index
    except UnsupportedError:
        return "refused", None
    found = host(made, device)
    return "values", (found.dtype, found.shape, found.tolist() if found.dtype.hasobject else found.tobytes())


def on_device(case: ArrayCase, way: str, spec: ChunkSpec, device: Any) -> Any:
    """The device, or the CPU where only that does it."""
    codec = case.codec
    asked = getattr(codec, "why_host_to_encode", codec.why_host) if way == "encode" else codec.why_host
    return device if not device.gpu or asked(spec) is None else CPU


def what_is_encoded_is_decoded(case: ArrayCase, device: Any) -> None:
    for shape in case.shapes:
        spec, batch = case.spec(shape), case.batch(shape)
        after = case.codec.encoded(spec)
        where = on_device(case, "encode", spec, device)
        stored = host(case.codec.encode(on(where, batch), spec, where), where)
        assert (stored.shape, stored.dtype) == ((len(batch), *after.shape), after.dtype)
        where = on_device(case, "decode", spec, device)
        decoded = host(case.codec.decode(on(where, stored), spec, where), where)
        assert (decoded.shape, decoded.dtype) == (batch.shape, batch.dtype)
        assert not case.is_lossless or decoded.tobytes() == batch.tobytes()
        again = host(case.codec.encode(decoded, spec, CPU), CPU)
        assert case.is_lossless is False or again.tobytes() == stored.tobytes()


def none_become_none(case: ArrayCase, device: Any) -> None:
    for shape in case.shapes:
        spec = case.spec(shape)
        for way, before in (("encode", spec), ("decode", case.codec.encoded(spec))):
            where = on_device(case, way, spec, device)
            made = getattr(case.codec, way)(on(where, np.empty((0, *before.shape), before.dtype)), spec, where)
            assert len(made) == 0 and made.shape[1:] == (case.codec.encoded(spec).shape if way == "encode" else shape)


def devices_agree(case: ArrayCase, device: Any) -> None:
    """As the CPU: of fitting numbers, of any bits, and of a batch of which one chunk has any bits."""
    rng = np.random.default_rng(3)
    for shape in case.shapes:
        spec = case.spec(shape)
        for way, before in (("encode", spec), ("decode", case.codec.encoded(spec))):
            if on_device(case, way, spec, device) is CPU:
                continue
            fitting = case.batch(shape)
            fitting = fitting if way == "encode" else host(case.codec.encode(fitting, spec, CPU), CPU)
            for batch in (fitting, any_bits(before, rng), mixed(fitting, any_bits(before, rng))):
                found = [run(case.codec, way, on(each, batch), spec, each) for each in (CPU, device)]
                assert equal(*found), f"{case.codec} {way} {spec}: {found!r:.600}"


def equal(one: tuple[str, Any], other: tuple[str, Any]) -> bool:
    """Whether outcomes are the same; a NaN may be any."""
    if one == other or one[0] == "refused" or other[0] == "refused":
        return one == other
    (dtype, shape, data), second = one[1], other[1]
    if (dtype, shape) != second[:2] or dtype.kind not in "fc":
        return False
    first, last = np.frombuffer(data, dtype), np.frombuffer(second[2], dtype)
    differ = np.frombuffer(data, f"V{dtype.itemsize}") != np.frombuffer(second[2], f"V{dtype.itemsize}")
    return bool((np.isnan(first[differ]) & np.isnan(last[differ])).all())


def any_bits(spec: ChunkSpec, rng: np.random.Generator) -> Array:
    count = CHUNKS_OF_A_BATCH * prod(spec.shape)
    if spec.dtype.kind == "b":
        return rng.integers(0, 2, (CHUNKS_OF_A_BATCH, *spec.shape)).astype(bool)
    if spec.dtype.kind in "OU":
        return np.full((CHUNKS_OF_A_BATCH, *spec.shape), "no label", spec.dtype)
    return np.frombuffer(rng.bytes(count * spec.dtype.itemsize), spec.dtype).reshape(CHUNKS_OF_A_BATCH, *spec.shape)


def mixed(fitting: Array, others: Array) -> Array:
    made = fitting.copy()
    made[1] = others[1]
    return made


def order_in_memory_makes_no_difference(case: ArrayCase, device: Any) -> None:
    """Steps, other orders of axes, the other byte order, odd addresses: the result is that of a copy."""
    for shape in case.shapes:
        spec = case.spec(shape)
        stored = host(case.codec.encode(case.batch(shape), spec, CPU), CPU)
        for way, batch in (("encode", case.batch(shape)), ("decode", stored)):
            where = on_device(case, way, spec, device)
            expected = run(case.codec, way, on(where, batch), spec, where)
            for name, laid in layouts(where, batch).items():
                assert run(case.codec, way, laid, spec, where) == expected, f"{case.codec} {way}, {name}, {shape}"


def layouts(device: Any, batch: Array) -> dict[str, Any]:
    """The same values in other ways. A GPU is given no arrays at odd addresses or in the other byte order."""
    wide = on(device, np.repeat(batch, 2, axis=-1))
    turned = on(device, np.ascontiguousarray(np.moveaxis(batch, -1, 1)))
    found = {
        "steps": wide[..., ::2],
        "backward": on(device, np.ascontiguousarray(batch[..., ::-1]))[..., ::-1],
        "axes": device.xp.moveaxis(turned, 1, -1) if device.gpu else np.moveaxis(turned, 1, -1),
        "chunks apart": on(device, np.repeat(batch, 2, axis=0))[::2],
    }
    if device.gpu:
        return found
    found["read-only"] = np.array(batch)
    found["read-only"].flags.writeable = False
    if batch.dtype.hasobject:
        return found
    odd = np.frombuffer(b"\0" + batch.tobytes(), np.uint8)[1:].view(batch.dtype).reshape(batch.shape)
    return {**found, "odd address": odd, "other byte order": batch.astype(batch.dtype.newbyteorder("S"))}


def inputs_are_left_alone(case: ArrayCase, device: Any) -> None:
    for shape in case.shapes:
        spec, batch = case.spec(shape), case.batch(shape)
        where = on_device(case, "encode", spec, device)
        given = on(where, batch.copy())
        made = case.codec.encode(given, spec, where)
        assert host(given, where).tolist() == batch.tolist()
        where = on_device(case, "decode", spec, device)
        given = on(where, stored := host(made, on_device(case, "encode", spec, device)).copy())
        case.codec.decode(given, spec, where)
        assert host(given, where).tolist() == stored.tolist()


def others_agree(case: ArrayCase, device: Any) -> None:
    """numcodecs encodes a chunk to the same bytes, and decodes it to the same values."""
    for shape in case.shapes:
        spec, batch = case.spec(shape), case.batch(shape)
        where = on_device(case, "encode", spec, device)
        stored = host(case.codec.encode(on(where, batch), spec, where), where)
        where = on_device(case, "decode", spec, device)
        decoded = host(case.codec.decode(on(where, stored), spec, where), where)
        for i in range(len(batch)):
            theirs = np.asarray(case.peer.encode(np.ascontiguousarray(batch[i])))
            native = theirs.astype(theirs.dtype.newbyteorder("="))
            assert native.tobytes() == stored[i].tobytes()
            back = np.asarray(case.peer.decode(theirs)).reshape(-1)
            back = back if back.dtype.hasobject else back.view(case.dtype.newbyteorder(back.dtype.byteorder))
            assert back.astype(case.dtype).tolist() == decoded[i].reshape(-1).tolist()


OF_ARRAYS = [
    *(what_is_encoded_is_decoded, none_become_none, devices_agree, order_in_memory_makes_no_difference),
    inputs_are_left_alone,
]


def array_laws(case: ArrayCase) -> list[Any]:
    return [*OF_ARRAYS, *([others_agree] if case.peer else ())]
