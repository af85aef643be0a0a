"""Laws that every codec keeps which makes bytes; laws/cases.py has a row for each codec.

A law is a function of a CodecCase and a device. It raises AssertionError where it is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch, measured
from gpuzarr.errors import CodecError, MetadataError
from tests.chunks import CPU, batch_on, decoded, encoded_batch, whole
from tests.hardware import complete

CANARY = 0xC3  # a byte of memory that nothing may change


@dataclass(frozen=True)
class CodecCase:
    """A codec whose `kind` ends in bytes, and what one chunk of its decoded side is: bytes, or an array.

    `is_checked`: every flipped bit is seen. `peer`: an independent implementation, with `encode` and `decode` as
    numcodecs has them. `is_exact`: both encode to the same bytes. `tolerance`: of values, where the codec loses some.
    `is_open_ended`: a word behind a chunk cannot always be told from its own. `takes_any_bytes`: of the right number.
    `may_gap`: see laws.agreement.devices_agree.
    """

    codec: Any
    value: Any
    is_checked: bool = False
    peer: Any = None
    is_exact: bool = False
    tolerance: float = 0
    is_open_ended: bool = False
    takes_any_bytes: bool = False
    may_gap: bool = False

    @property
    def spec(self) -> Any:
        if self.is_of_bytes:
            return BytesSpec(len(self.value))
        fill_value = None if self.value.dtype.hasobject else np.zeros((), self.value.dtype)[()]
        return ChunkSpec(self.value.shape, self.value.dtype, fill_value)

    @property
    def is_of_bytes(self) -> bool:
        return isinstance(self.value, bytes)

    def encoded(self, device: Any = CPU) -> bytes:
        """The value as the codec encodes it on a device, or on the CPU where it must."""
        why = getattr(self.codec, "why_host_to_encode", self.codec.why_host)(self.spec)
        device = device if why is None else CPU
        if self.is_of_bytes:
            made = self.codec.encode(batch_on(device, [self.value]), self.spec, device)
        else:
            batch = np.empty((1, *self.value.shape), self.value.dtype)
            batch[0] = self.value
            made = self.codec.encode(device.upload(batch) if device.gpu else batch, self.spec, device)
        return whole(made)[0] if not device.gpu else device.download(measured(made, device)[0]).tobytes()

    def decoded(self, device: Any, *chunks: bytes, spec: Any = None) -> list[Any]:
        return decoded(device, self.codec, spec or self.spec, *chunks)

    def refuses(self, device: Any, good: bytes, bad: bytes, spec: Any = None) -> bool:
        """Whether the bad chunk is refused, and by its index."""
        try:
            self.decoded(device, good, bad, good, spec=spec)
        except CodecError as error:
            assert error.index == 1, error
            assert len(str(error)) > 5
            return True
        return False

    def equals(self, made: Any) -> bool:
        if self.is_of_bytes:
            return bytes(made) == self.value
        if self.value.dtype == object:
            pairs = zip(np.reshape(made, -1), self.value.reshape(-1), strict=True)
            return all(np.array_equal(one, other) for one, other in pairs)
        if self.value.dtype.names:
            return bool((made == self.value).all())
        return bool(np.allclose(made, self.value, rtol=0, atol=self.tolerance))


def what_is_encoded_is_decoded(case: CodecCase, device: Any) -> None:
    good = case.encoded(device)
    assert all(case.equals(made) for made in [*case.decoded(CPU, good, good), *case.decoded(device, good, good)])
    assert case.decoded(device) == []
    if case.is_of_bytes:
        assert case.decoded(CPU, good, good, spec=BytesSpec(None)) == [case.value, case.value]


def others_agree(case: CodecCase, device: Any) -> None:
    """An independent implementation decodes what we encode, and we decode what it encodes."""
    value = np.frombuffer(case.value, np.uint8) if case.is_of_bytes else case.value
    ours, theirs = case.encoded(device), bytes(np.ascontiguousarray(case.peer.encode(value)).view(np.uint8))
    assert not case.is_exact or ours == theirs
    made = case.peer.decode(ours)
    made = np.ascontiguousarray(made).tobytes() if case.is_of_bytes else np.reshape(made, case.value.shape)
    assert case.equals(made) and case.equals(case.decoded(device, theirs)[0])


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda chunk: chunk[: len(chunk) // 2],
    "last byte cut": lambda chunk: chunk[:-1],
    "empty": lambda chunk: b"",
    "followed by junk": lambda chunk: chunk + b"junk" * 5,
}
DAMAGES_OF_BYTES = DAMAGES | {
    "nothing but junk": lambda chunk: np.random.default_rng(len(chunk)).bytes(len(chunk)),
    "header of ones": lambda chunk: b"\xff" * 16 + chunk[16:],
}


def damage_names_its_chunk(case: CodecCase, device: Any) -> None:
    """And the device goes on."""
    good = case.encoded()
    for name, damage in (DAMAGES_OF_BYTES if case.is_of_bytes and not case.takes_any_bytes else DAMAGES).items():
        assert case.refuses(device, good, damage(good)), name
        assert case.equals(case.decoded(device, good)[0]), name


def flipped_bits_raise_nothing_else(case: CodecCase, device: Any) -> None:
    """Three bits of a chunk, anywhere; what is checked gives an error, or the value."""
    good, rng = case.encoded(), np.random.default_rng(11)
    for _ in range(60):
        bad = bytearray(good)
        for at in rng.integers(0, len(good), 3):
            bad[at] ^= 1 << int(rng.integers(0, 8))
        if not case.refuses(device, good, bytes(bad)):
            (made,) = case.decoded(device, bytes(bad))
            assert len(made) == len(case.value) and (not case.is_checked or case.equals(made))


def other_sizes_are_refused(case: CodecCase, device: Any) -> None:
    """Where metadata expects other sizes than the chunk has."""
    good = case.encoded()
    for nbytes in (0, 1, len(case.value) - 1, len(case.value) + 1, 10 * len(case.value)):
        with pytest.raises(CodecError) as caught:
            case.decoded(device, good, spec=BytesSpec(nbytes))
        assert caught.value.index == 0


def every_cut_is_refused(case: CodecCase, device: Any) -> None:
    good = case.encoded()
    for length in range(len(good)):
        assert case.refuses(device, good, good[:length]), f"cut to {length} of {len(good)}"


def whatever_follows_is_refused(case: CodecCase, device: Any) -> None:
    good = case.encoded()
    for junk in (b"\0", b"\xff", b"junk", b"\0" * 8, good[:3], b"\xa5" * 16):
        if not (case.is_open_ended and len(junk) == 8):
            assert case.refuses(device, good, good + junk), f"followed by {junk!r}"


def specs_of(case: CodecCase, device: Any) -> list[Any]:
    """The spec with its size, and without where the device decodes that."""
    specs = [case.spec, BytesSpec(None)] if case.is_of_bytes else [case.spec]
    return [spec for spec in specs if not device.gpu or case.codec.why_host(spec) is None]


def every_flipped_bit_is_refused_or_another_value(case: CodecCase, device: Any) -> None:
    """On a device one bit of each byte, or two: each of a byte's eight in turn."""
    good = case.encoded()
    for spec in specs_of(case, device):
        for bit in range(0, 8 * len(good), 7 if device.gpu else 1 if case.is_checked else 3):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            if not case.refuses(device, good, bytes(bad), spec):
                (made,) = case.decoded(device, bytes(bad), spec=spec)
                assert not case.is_checked or case.equals(made), f"bit {bit}"
                assert len(made) == len(case.value) or spec == BytesSpec(None)


def random_bytes_raise_nothing_else(case: CodecCase, device: Any) -> None:
    rng, good = np.random.default_rng(1), case.encoded()
    for _ in range(100):
        at, length = int(rng.integers(len(good))), int(rng.integers(1, 8))
        bad = good[:at] + rng.bytes(length) + good[at + length :]
        for spec in specs_of(case, device):
            case.refuses(device, good, bad, spec)


def addresses_may_be_odd(case: CodecCase, device: Any) -> None:
    """Chunks lie at any address, with gaps, and so does the memory that they are decoded into, beside which nothing is
    written."""
    good = case.encoded()
    batch = encoded_batch(*[good] * 3, gap=3)
    if device.gpu:
        batch = replace(batch, data=device.upload(batch.data), host=batch.data)
    made = case.codec.decode(batch, case.spec, device)
    complete(device)
    if not case.is_of_bytes:
        assert all(case.equals(each) for each in (device.download(made) if device.gpu else made))
        return
    sizes = np.full(3, len(case.value), np.int64)
    starts = np.array([1, 4 + sizes[0], 11 + 2 * sizes[0]])
    memory = np.full(int(starts[-1] + sizes[-1]) + 5, CANARY, np.uint8)
    into = EncodedBatch(device.upload(memory) if device.gpu else memory, starts, sizes)
    assert case.codec.decode(batch, case.spec, device, into) is into
    complete(device)
    found = device.download(into.data) if device.gpu else memory
    for start in starts.tolist():
        assert found[start : start + len(case.value)].tobytes() == case.value
        found[start : start + len(case.value)] = CANARY
    assert (found == CANARY).all(), "something was written beside"


def memory_may_be_read_only(case: CodecCase, device: Any) -> None:
    """On the host, that of chunks to encode and that of encoded ones."""
    if device.gpu:
        return
    good = encoded_batch(case.encoded())
    given: Any = encoded_batch(case.value) if case.is_of_bytes else np.stack([case.value])
    for memory in (good.data, given.data if case.is_of_bytes else given):
        memory.flags.writeable = False
    assert case.equals(case.decoded(CPU, whole(case.codec.encode(given, case.spec, CPU))[0])[0])
    made = case.codec.decode(good, case.spec, CPU)
    assert case.equals(whole(made)[0] if case.is_of_bytes else made[0])


def chunks_may_be_of_unequal_sizes(case: CodecCase, device: Any) -> None:
    """Of no bytes, one, an odd number, many, where the codec takes these; and each by itself, with its size known."""
    rng, sizes = np.random.default_rng(4), []
    for nbytes in (8, 0, 1, 131, 4096, 24, 20_011, 20_016):
        with suppress(MetadataError):
            case.codec.encoded(BytesSpec(nbytes))
            sizes.append(nbytes)
    values = [(rng.integers(0, 4, nbytes) * 40).astype(np.uint8).tobytes() for nbytes in sizes]
    encoded = [whole(case.codec.encode(encoded_batch(value), BytesSpec(len(value)), CPU))[0] for value in values]
    for spec in specs_of(case, device)[1:]:
        assert case.decoded(device, *encoded, spec=spec) == values
    for value, chunk in zip(values, encoded, strict=True):
        spec = BytesSpec(len(value))
        if device.gpu and case.codec.why_host(spec) is not None:
            continue
        assert case.decoded(device, chunk, chunk, spec=spec) == [value, value]
        why = getattr(case.codec, "why_host_to_encode", case.codec.why_host)(spec)
        if device.gpu and why is None:
            made = measured(case.codec.encode(batch_on(device, [value] * 3), spec, device), device)
            assert made is None or case.decoded(CPU, *taken(made, device), spec=spec) == [value] * 3


def taken(batch: EncodedBatch, device: Any) -> list[bytes]:
    data = device.download(batch.data)
    return [data[s : s + n].tobytes() for s, n in zip(batch.starts, batch.sizes, strict=True)]


OF_A_CODEC = [
    *(what_is_encoded_is_decoded, addresses_may_be_odd, memory_may_be_read_only),
    *(damage_names_its_chunk, flipped_bits_raise_nothing_else),
]
OF_BYTES = [other_sizes_are_refused, chunks_may_be_of_unequal_sizes]
OF_EVERY_BYTE = [  # of a small chunk: on the CPU, whose lines decide of damage wherever there is doubt
    *(every_cut_is_refused, whatever_follows_is_refused, every_flipped_bit_is_refused_or_another_value),
    random_bytes_raise_nothing_else,
]


def codec_laws(case: CodecCase, is_small: bool) -> list[Callable[[CodecCase, Any], None]]:
    """The laws of a codec that makes bytes; those that try every byte of a chunk are for small chunks."""
    of_others = [others_agree] if case.peer else []
    return [*OF_A_CODEC, *of_others, *(OF_BYTES if case.is_of_bytes else ()), *(OF_EVERY_BYTE if is_small else ())]
