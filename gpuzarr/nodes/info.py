"""What an array is and how it is stored, in words for people and as a dict for programs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from gpuzarr.indexing.layout import Layout
from gpuzarr.metadata import ArrayMetadata
from gpuzarr.metadata.files import FILES
from gpuzarr.stores.contract import Store

Json = dict[str, Any]


@dataclass(frozen=True, repr=False)
class About:
    """Facts, a line each."""

    facts: Json

    def asdict(self) -> Json:
        return dict(self.facts)

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        return "\n".join(f"{name:<{width}} : {fact}" for name, fact in self.facts.items())

    __repr__ = __str__


def about(array: Any, stored: bool) -> About:
    """The facts of a gpuzarr.Array; `stored`: also of what the store has of it, all of which is looked at."""
    filters, serializer, compressors = codecs(array.metadata, array.layout)
    facts = {
        "Type": "Array",
        "Zarr format": array.zarr_format,
        "Data type": array.metadata.data_type.name,
        "Fill value": array.fill_value,
        "Shape": array.shape,
        "Shard shape": array.shards,
        "Chunk shape": array.chunks,
        "Order": array.order,
        "Read-only": array.read_only,
        "Store": array.store,
        "Device": array.device.name,
        "Filters": filters,
        "Serializer": serializer,
        "Compressors": compressors,
        "No. bytes": array.nbytes,
    }
    facts = {name: fact for name, fact in facts.items() if fact is not None}
    return About(facts | (_stored(array) if stored else {}))


def _stored(array: Any) -> Json:
    size, objects = in_store(array.store, array.path)
    kind = "Chunks" if array.shards is None else "Shards"
    ratio = {"Storage ratio": round(array.nbytes / size, 1)} if size else {}
    return {"No. bytes stored": size, **ratio, f"{kind} initialized": f"{objects}/{prod(array.layout.grid(0))}"}


def in_store(store: Store, path: str) -> tuple[int, int]:
    """Bytes of all that lies below a path, documents too; how many chunks (shards) these are."""
    sizes = dict(store.objects(path))
    return sum(sizes.values()), sum(key.rpartition("/")[2] not in FILES for key in sizes)


def codecs(metadata: ArrayMetadata, layout: Layout) -> tuple[tuple[Json, ...], Json | None, tuple[Json, ...]]:
    """Filters, serializer and compressors as the document has them, and as `create_array` takes them.

    Of shards those of the chunks in them; Zarr v2 has no serializer.
    """
    document = metadata.document
    if metadata.zarr_format == 2:
        compressor = document.get("compressor")
        return tuple(document.get("filters") or ()), None, () if compressor is None else (compressor,)
    parsed, members = metadata.codecs, document["codecs"]
    if layout.levels:
        parsed, members = layout.levels[0].codec.codecs, members[0]["configuration"]["codecs"]
    at = [codec.kind for codec in parsed].index("array->bytes")
    named = [{"name": member} if isinstance(member, str) else member for member in members]
    return tuple(named[:at]), named[at], tuple(named[at + 1 :])
