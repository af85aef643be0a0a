"""The registry of codecs, one file each. A file in this folder is registered by being here.

Each file ends with `CODEC = TheClass`, or `CODECS = (One, Two)`; what the class must have is in `contract.py`. Heavy
imports stand inside functions. Other packages add codecs by the entry point group `gpuzarr.codecs` (name: the codec's
name, value: the class).

The names of `zarr.codecs`, such as `ZstdCodec` and `BloscShuffle`, are here, too: see `objects.py`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from contextvars import ContextVar, copy_context
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

from gpuzarr.batch import BytesSpec, ChunkSpec
from gpuzarr.checks import shown
from gpuzarr.codecs.contract import Codec, Kind, WarmsUp
from gpuzarr.errors import MetadataError, UnsupportedError

MAX_DEPTH = 16  # of lists of codecs in codecs, as of shards in shards
_depth: ContextVar[int] = ContextVar("gpuzarr.codecs.depth", default=0)
_NAMES = (  # of zarr.codecs; loaded when one of them is first used
    *("BloscCname", "BloscCodec", "BloscShuffle", "BytesCodec", "CastValue", "Crc32cCodec", "Endian", "GzipCodec"),
    *("ScaleOffset", "ShardingCodec", "ShardingCodecIndexLocation", "SubchunkWriteOrder", "TransposeCodec"),
    *("VLenBytesCodec", "VLenUTF8Codec", "ZstdCodec"),
)
_OF_NUMCODECS = (
    *("BZ2", "CRC32", "CRC32C", "LZ4", "LZMA", "ZFPY", "Adler32", "AsType", "BitRound", "Blosc", "Delta"),
    *("FixedScaleOffset", "Fletcher32", "GZip", "JenkinsLookup3", "PCodec", "PackBits", "Quantize", "Shuffle"),
    *("Zlib", "Zstd"),
)
_ZARRS = re.compile(r"^(zarrs\.|https://codec\.zarrs\.dev/(array_to_array|array_to_bytes|bytes_to_bytes)/)")


@cache
def registry() -> dict[tuple[int, str], Any]:
    """Codec classes of this package, by (zarr_format, name)."""
    found: dict[tuple[int, str], Any] = {}
    for module in pkgutil.iter_modules(__path__):
        for codec in _codecs_of(module.name):
            found |= {(3, name): codec for name in codec.names} | {(2, name): codec for name in codec.ids}
    return found


@lru_cache(1024)
def class_of(zarr_format: int, name: str) -> Any:
    """The codec class of a name; only the file of that name is loaded, if there is one. None: unknown."""
    plain = name.rpartition(".")[2].replace("-", "_")  # without numcodecs., zarrs. or gpuzarr.
    of_images = plain.startswith("imagecodecs_")
    for file in (plain.removeprefix("imagecodecs_"), "imagecodecs") if of_images else (plain,):
        if file.isidentifier() and find_spec(f"{__name__}.{file}"):
            for codec in _codecs_of(file):
                if name in (codec.names if zarr_format == 3 else codec.ids):
                    return codec
    return registry().get((zarr_format, name))


def _codecs_of(file: str) -> tuple[Any, ...]:
    loaded = importlib.import_module(f"{__name__}.{file}")
    return getattr(loaded, "CODECS", None) or ((loaded.CODEC,) if hasattr(loaded, "CODEC") else ())


@cache
def others() -> dict[str, Any]:
    """Entry points of other packages, by the codec's name."""
    from importlib.metadata import entry_points  # slow to import

    return {point.name: point for point in entry_points(group="gpuzarr.codecs")}


def warm_up_examples() -> list[Codec]:
    """Codecs that together use every kernel and algorithm by which a GPU decodes, including those of other packages."""
    classes = dict.fromkeys([*registry().values(), *(point.load() for point in others().values())])
    return [codec for known in classes if isinstance(known, WarmsUp) for codec in known.warm_up_examples()]


def find(name: str, configuration: dict[str, Any], zarr_format: int = 3) -> Codec:
    """Make the codec of that name and configuration.

    It is one of this package, else of another one by the entry point group `gpuzarr.codecs`, else of numcodecs.
    UnsupportedError for an unknown name, MetadataError where the codec does not take the configuration.

    A class may parse its configuration in a classmethod `from_v3(configuration)` or `from_v2(configuration)` (without
    "id"); otherwise the members of the configuration are its fields.
    """
    codec = class_of(zarr_format, name) or (others()[name].load() if name in others() else None)
    if codec is None and zarr_format == 3:
        codec = _of_zarrs(name)
    if codec is None:
        return _of_another_package(name, configuration, zarr_format)
    try:
        parse = getattr(codec, f"from_v{zarr_format}", None)
        return parse(configuration) if parse else codec(**configuration)
    except MetadataError:
        raise
    except (TypeError, ValueError, KeyError) as error:
        raise MetadataError(
            f"codec {name!r} does not take the configuration {shown(configuration)}: {error}"
        ) from error


def _of_another_package(name: str, configuration: dict[str, Any], zarr_format: int) -> Any:
    """The codec that numcodecs has under this name. UnsupportedError, with advice, if it has none."""
    from gpuzarr.codecs import of_numcodecs, refused

    codec_id = name.removeprefix("numcodecs.")
    if advice := refused.ADVICE.get(codec_id) or refused.ADVICE.get(_ZARRS.sub("", codec_id)):
        raise UnsupportedError(f"codec {name!r} is not supported: {advice}")
    if zarr_format == 2 or codec_id != name:
        codec = of_numcodecs.found(codec_id, configuration)
        if codec is not None:
            return codec
    advice = "install the package that has it, or register it with numcodecs"
    if zarr_format == 3 and codec_id == name and of_numcodecs.found(name, {}) is not None:
        advice = f"in Zarr v3 the codec that numcodecs has under this id is called 'numcodecs.{name}'"
    elif class_of(zarr_format, of_numcodecs.IMAGES + name) is not None:
        advice = f"did you mean '{of_numcodecs.IMAGES}{name}'?"
    raise UnsupportedError(f"unknown codec {name!r} with configuration {shown(configuration)}; {advice}")


def _of_zarrs(name: str) -> Any:
    """The codec class of a name that zarrs used before one was registered: `zarrs.<name>`, or a URL. None: unknown."""
    plain = _ZARRS.sub("", name)
    return None if plain == name else registry().get((3, plain)) or registry().get((3, f"zarrs.{plain}"))


def parse(document: Any) -> tuple[Codec, ...]:
    """Parse a v3 `codecs` list, whose members are names, or objects with `name` and optionally `configuration`.

    MetadataError for a malformed list; errors of `find`. UnsupportedError for lists in codecs in lists, too deep.
    """
    if not isinstance(document, list | tuple):
        raise MetadataError(f"codecs must be a list, not {shown(document)}")
    if (depth := _depth.get()) >= MAX_DEPTH:
        raise UnsupportedError(f"codecs in codecs, more than {MAX_DEPTH} levels deep")
    return copy_context().run(
        _parse_below, depth + 1, document
    )  # where an interrupt comes, the depth here is as before


def _parse_below(depth: int, document: Any) -> tuple[Codec, ...]:
    _depth.set(depth)
    return _standing(tuple(_parse_one(member) for member in document))


def _standing(found: tuple[Any, ...]) -> tuple[Codec, ...]:
    """Tell codecs of other packages, which may take arrays or bytes, where they stand. See `of_numcodecs.py`."""
    making = [i for i, codec in enumerate(found) if codec.kind == "array->bytes"]
    fixed = [i for i in making if not hasattr(found[i], "standing")]
    if not making or len(making) == len(fixed):
        return found
    at = (fixed or making)[0]
    return tuple(
        codec.standing((i > at) - (i < at)) if hasattr(codec, "standing") else codec for i, codec in enumerate(found)
    )


def _parse_one(member: Any) -> Codec:
    member = {"name": member} if isinstance(member, str) else member
    if not isinstance(member, dict) or not isinstance(member.get("name"), str):
        raise MetadataError(f"a codec must be a name or an object with a name, not {shown(member)}")
    unknown = set(member) - {"name", "configuration", "must_understand"}
    if unknown:
        raise MetadataError(f"codec {member['name']!r} has unknown members {sorted(unknown)}")
    configuration = member.get("configuration") or {}
    if not isinstance(configuration, dict):
        raise MetadataError(f"configuration of codec {member['name']!r} must be an object, not {shown(configuration)}")
    return find(member["name"], configuration)


def __getattr__(name: str) -> Any:
    file = "objects" if name in _NAMES else "numcodecs" if name in (*_OF_NUMCODECS, "numcodecs") else None
    if file is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    loaded = importlib.import_module(f"{__name__}.{file}")
    return loaded if name == file else getattr(loaded, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES, *_OF_NUMCODECS, "numcodecs"})


__all__ = ["BytesSpec", "ChunkSpec", "Codec", "Kind", "find", "parse", "registry"]
