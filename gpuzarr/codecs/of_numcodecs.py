"""Codecs that other packages have for numcodecs, run as they are, on the CPU.

Zarr v2 knows them by the id under which numcodecs has them, by its entry points (`numcodecs.codecs`) or by
`numcodecs.registry.register_codec`; Zarr v3 by `numcodecs.<id>`. The codecs of imagecodecs are found without being
registered (`imagecodecs.py`). Source: the contract of `numcodecs.abc.Codec`.

A codec gets an array and makes bytes where it stands first in a chain, and gets and makes bytes behind another one that
makes bytes; in v3 it may also stand before the codec that makes bytes, and must then keep the size of chunks. Output
that has not the size that metadata declares is refused, and any exception is a CodecError. How much memory such a codec
takes cannot be limited here, except of imagecodecs, whose codecs decode to memory of the right size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from inspect import Parameter, signature
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec
from gpuzarr.checks import shown
from gpuzarr.codecs import Kind
from gpuzarr.cpu.chunkwise import blamed, check_declared, pack
from gpuzarr.cpu.packages import missing
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError, UnsupportedError
from gpuzarr.formats.image_header import declared_size

IMAGES = "imagecodecs_"  # the ids of imagecodecs begin so
# of imagecodecs: they make at most a few times the bytes that they get; some of them take no memory to decode to
_BOUNDED = frozenset(
    f"{IMAGES}{name}"
    for name in (
        *("bfloat16", "float24", "packints", "bitorder", "bitshuffle", "byteshuffle", "delta", "floatpred", "quantize"),
        *("xor", "checksum"),
    )
)
_JPEGLS, _JPEG_END, _NEAR_END = f"{IMAGES}jpegls", b"\xff\xd9", 4  # bytes, with padding
_PGLZ = f"{IMAGES}pglz"  # decodes only to memory of exactly the right size, which its header has, 4 bytes
_WAVPACK = f"{IMAGES}wavpack"  # decodes to an array of one axis, unless it has channels


@dataclass(frozen=True)
class OfNumcodecs:
    """`configuration`: a JSON object, as text. `stored`: the dtype, with byte order, of the array that the codec gets.

    `is_image`: a codec of imagecodecs whose decoded side is an array, also where it stands behind `bytes`.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...]
    kind: Kind
    id: str
    configuration: str
    is_image: bool = False
    stored: np.dtype | None = None

    def standing(self, place: int) -> OfNumcodecs:
        """The codec where it stands: before (-1) or behind (1) the codec of the chain that makes bytes, or as it."""
        if self.kind == "array->bytes" and place > 0:
            return replace(self, kind="bytes->bytes")
        if self.kind == "array->bytes" and place < 0 and not self.is_image:
            return replace(self, kind="array->array")
        return self

    def encoded(self, spec: Any) -> Any:
        codec = self._made(spec)
        if not all(callable(getattr(codec, name, None)) for name in ("encode", "decode")):
            raise UnsupportedError(f"codec {self.id!r} has no functions to encode and decode")
        return spec if self.kind == "array->array" else BytesSpec(None, None, getattr(spec, "allowed", 0))

    def why_host(self, spec: Any) -> str | None:
        return f"{self.id} is run by another package, on the CPU"

    def decode(self, chunks: Any, spec: Any, device: Device, into: Any = None) -> Any:
        codec = self._made(spec)
        if self.kind == "bytes->bytes":
            made = self._each(chunks, lambda chunk: self._to_bytes(codec, chunk.tobytes(), spec))
            if into is None:
                return pack(made, device)
            for i, one in enumerate(made):
                into[i][:] = one
            return into
        to_array = self._to_array if self.kind == "array->bytes" else self._of_array
        made = self._each(chunks, lambda chunk: to_array(codec, chunk, spec))
        batch = np.empty((len(made), *spec.shape), spec.dtype)
        for i, one in enumerate(made):
            batch[i] = one
        return batch

    def encode(self, chunks: Any, spec: Any, device: Device) -> Any:
        if self.is_image and self.kind == "bytes->bytes":
            raise UnsupportedError(f"codec {self.id!r} writes images only in the place of 'bytes', as `serializer`")
        codec = self._made(spec)
        if self.kind == "bytes->bytes":
            return pack(self._each(chunks, lambda chunk: _encoded(codec, self.id, chunk)), device)
        stored = spec.dtype if self.stored is None else self.stored

        def encode(chunk: np.ndarray) -> np.ndarray:
            return _encoded(codec, self.id, np.asarray(chunk, stored))

        made = self._each(chunks, encode)
        if self.kind == "array->bytes":
            return pack(made, device)
        batch = np.empty((len(made), *spec.shape), spec.dtype)
        for i, one in enumerate(made):
            batch[i] = self._as_array(one, spec, i)
        return batch

    def _each(self, chunks: Any, function: Callable[[Any], Any]) -> list[Any]:
        """Call `function` for each chunk. CodecError with its index for whatever is raised."""
        made = []
        for i in range(len(chunks)):
            try:
                made.append(function(chunks[i]))
            except UnsupportedError:
                raise
            except Exception as error:
                raise blamed(self.id, error, i) from error
            except BaseException as error:  # a panic of Rust is no Exception
                if type(error).__name__ != "PanicException":
                    raise
                raise CodecError(f"{self.id}: {error}", i) from error
        return made

    def _to_array(self, codec: Any, chunk: np.ndarray, spec: ChunkSpec) -> np.ndarray:
        data = chunk.tobytes()
        if not self.id.startswith(IMAGES) or self.id in _BOUNDED:
            return self._as_array(_flat(codec.decode(data)), spec)
        if self.is_image:
            self._check_header(data, prod(spec.shape))
            is_flat = self.id == _WAVPACK and not codec.channels
            out = np.empty(prod(spec.shape) if is_flat else spec.shape, spec.dtype)
            return self._as_array(_flat(codec.decode(data, out)), spec)
        return self._as_array(self._to_bytes(codec, data, BytesSpec(spec.nbytes)), spec)

    def _of_array(self, codec: Any, chunk: np.ndarray, spec: ChunkSpec) -> np.ndarray:
        return self._as_array(_flat(codec.decode(np.ascontiguousarray(chunk))), spec)

    def _to_bytes(self, codec: Any, data: bytes, spec: BytesSpec) -> np.ndarray:
        """Decode to bytes: as many as `spec` has, or at most as many as it allows."""
        most = spec.most(len(data))
        if self.id == _PGLZ and codec.header:
            check_declared(int.from_bytes(data[:4], "little"), len(data), spec)
            made = _raw(codec.decode(data))
        elif self.is_image:
            self._check_header(data, most)
            made = _raw(codec.decode(data))
        elif self.id.startswith(IMAGES) and self.id not in _BOUNDED:
            made = _raw(codec.decode(data, np.empty(most + (self.id != _PGLZ), np.uint8)))
        else:
            made = _raw(codec.decode(data))
        if spec.nbytes is not None and len(made) != spec.nbytes:
            raise CodecError(f"decoded to {'more' if len(made) > most else len(made)} bytes, expected {spec.nbytes}")
        check_declared(len(made), len(data), spec)
        return made

    def _check_header(self, data: bytes, most: int) -> None:
        """Raise CodecError for an image that declares more pixels than the chunk has elements, or has no end."""
        if self.id == _JPEGLS and _JPEG_END not in data[-_NEAR_END:]:  # its decoder takes seconds to find that out
            raise CodecError("the image is cut short")
        size = declared_size(data)
        if size is not None and size[0] * size[1] > most:
            raise CodecError(f"an image of {size[0]} x {size[1]} pixels, in a chunk of {most} elements")

    def _as_array(self, made: np.ndarray, spec: ChunkSpec, index: int | None = None) -> np.ndarray:
        """View what was made as the elements of a chunk; CodecError where their number is another one."""
        count = prod(spec.shape)
        if spec.nbytes is None or made.dtype.hasobject:
            if len(made) != count or (made.dtype.hasobject and spec.dtype.kind not in "OTUS"):
                raise CodecError(f"{self.id}: made {len(made)} elements of {made.dtype}, expected {count}", index)
            return made.astype(spec.dtype).reshape(spec.shape)
        flat = made.view(np.uint8)
        if len(flat) != spec.nbytes:
            raise CodecError(f"{self.id}: made {len(flat)} bytes, expected {spec.nbytes}", index)
        return flat.view(spec.dtype if self.stored is None else self.stored).reshape(spec.shape)

    def _made(self, spec: Any) -> Any:
        """The codec of the other package. Errors where it is not there, or does not take its configuration."""
        configuration = json.loads(self.configuration)
        try:
            if self.id.startswith(IMAGES):
                return _of_imagecodecs(self.id, configuration, spec, self.is_image)
            import numcodecs

            return numcodecs.get_codec({**configuration, "id": self.id})
        except UnsupportedError:
            raise
        except ImportError as error:
            raise UnsupportedError(f"codec {self.id!r}: its package cannot be imported: {error}") from error
        except Exception as error:
            raise MetadataError(f"codec {self.id!r} does not take {shown(configuration)}: {error}") from error


def _of_imagecodecs(codec_id: str, configuration: dict[str, Any], spec: Any, is_image: bool) -> Any:
    """A codec of imagecodecs; shape and dtype that it takes are those of the chunk, if metadata has none."""
    try:
        import imagecodecs.numcodecs as library
    except ImportError as error:
        raise missing(codec_id, "imagecodecs") from error
    cls = getattr(library, codec_id.removeprefix(IMAGES).capitalize(), None)
    if cls is None:
        raise UnsupportedError(f"codec {codec_id!r} is not in this version of imagecodecs; a newer one may have it")
    if isinstance(spec, ChunkSpec):
        ours = {"shape": spec.shape, "dtype": spec.dtype.str, "itemsize": spec.dtype.itemsize}
        for name, parameter in _parameters(cls).items():
            if name in ours and (is_image or parameter.default is Parameter.empty or name == "itemsize"):
                configuration.setdefault(name, ours[name])
    try:
        return cls.from_config(configuration)
    except ValueError as error:
        if "not available" in str(error):
            raise UnsupportedError(f"codec {codec_id!r}: imagecodecs was built without it") from error
        raise


@cache
def _parameters(cls: Any) -> Mapping[str, Parameter]:
    return signature(cls).parameters


def _flat(made: Any) -> np.ndarray:
    """What a codec made, as a flat array in the order in which it lies in memory."""
    if made is None:
        raise CodecError("the codec made nothing")
    array = made if isinstance(made, np.ndarray) else np.frombuffer(made, np.uint8)
    return np.ascontiguousarray(array.reshape(-1, order="A"))


def _encoded(codec: Any, id: str, chunk: np.ndarray) -> np.ndarray:
    try:
        return _raw(codec.encode(np.ascontiguousarray(chunk)))
    except NotImplementedError as error:  # damaged images raise it, too, where they are decoded
        raise UnsupportedError(f"codec {id!r} can only be read: its package does not encode it") from error


def _raw(made: Any) -> np.ndarray:
    flat = _flat(made)
    if flat.dtype.hasobject:
        raise CodecError("the codec made objects, not bytes")
    return flat.view(np.uint8)


def found(codec_id: str, configuration: dict[str, Any]) -> OfNumcodecs | None:
    """The codec that numcodecs has under this id; None if it has none. Nothing of other packages is imported."""
    from numcodecs import registry

    if codec_id not in registry.codec_registry and codec_id not in registry.entries:
        return None
    text = as_text(codec_id, configuration)
    return OfNumcodecs((f"numcodecs.{codec_id}",), (codec_id,), "array->bytes", codec_id, text)


def as_text(codec_id: str, configuration: dict[str, Any]) -> str:
    try:
        return json.dumps(configuration, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise MetadataError(f"codec {codec_id!r}: the configuration is not JSON: {error}") from error
