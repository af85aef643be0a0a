"""What a copy has done, or would do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gpuzarr.metadata import ArrayMetadata, GroupMetadata
from gpuzarr.nodes.info import codecs
from gpuzarr.nodes.sizes import chunk_shape, shard_shape
from gpuzarr.tools.copying.plan import ArrayPlan, Plan


@dataclass(frozen=True)
class CopiedNode:
    """A node of a copy.

    Attributes
    ----------
    path
        Below the root of the copy, with a leading slash.
    kind, zarr_format
        "array" or "group", and the version of Zarr.
    shape, dtype, chunks, shards, codecs
        Of an array.
    nbytes, objects
        Its decoded bytes (of strings, those of pointers to them), and of how many objects it is made at most.
    method
        "stored bytes": chunks are copied as they are stored; "values": they are decoded and encoded.
    """

    path: str
    kind: str
    zarr_format: int
    shape: tuple[int, ...] = ()
    dtype: str = ""
    chunks: tuple[Any, ...] = ()
    shards: tuple[Any, ...] | None = None
    codecs: tuple[str, ...] = ()
    nbytes: int = 0
    objects: int = 0
    method: str = ""


@dataclass(frozen=True)
class CopyReport:
    """What was copied, or what `dry_run` would copy.

    Attributes
    ----------
    nodes
        The nodes of the copy.
    nbytes
        Decoded bytes of all arrays.
    objects_done, objects_skipped
        Objects (shards; chunks, where there are none) that were copied now, and those that had been before.
    damaged
        Chunks of the source that are the fill value in the copy, as they could not be decoded: what each error says.
    left_out
        Nodes of the source that are not in the copy, as they could not be read: what each error says.
    verified
        True if the copy was read, and equals the source.
    seconds
        How long it took.
    dry_run
        True if nothing was written.
    """

    nodes: tuple[CopiedNode, ...]
    nbytes: int
    objects_done: int = 0
    objects_skipped: int = 0
    damaged: tuple[str, ...] = field(default=())
    left_out: tuple[str, ...] = field(default=())
    verified: bool = False
    seconds: float = 0.0
    dry_run: bool = False

    def asdict(self) -> dict[str, Any]:
        """The report as a dict of dicts and lists."""
        return asdict(self)


def described(plan: Plan) -> tuple[CopiedNode, ...]:
    """The nodes of a planned copy, sorted by their paths."""
    groups = [_group(path, metadata) for path, metadata in plan.groups.items()]
    return tuple(sorted([*groups, *map(_array, plan.arrays)], key=lambda node: node.path))


def _group(path: str, metadata: GroupMetadata) -> CopiedNode:
    return CopiedNode(f"/{path}", "group", metadata.zarr_format)


def _array(plan: ArrayPlan) -> CopiedNode:
    made = plan.metadata
    return CopiedNode(
        path=f"/{plan.path}",
        kind="array",
        zarr_format=made.zarr_format,
        shape=made.shape,
        dtype=made.data_type.name,
        chunks=chunk_shape(made),
        shards=shard_shape(made),
        codecs=_codecs(made),
        nbytes=nbytes_of(made),
        objects=plan.objects,
        method="stored bytes" if plan.is_stored else "values",
    )


def nbytes_of(metadata: ArrayMetadata) -> int:
    """Decoded bytes of an array."""
    return metadata.size * metadata.data_type.dtype.itemsize


def _codecs(metadata: ArrayMetadata) -> tuple[str, ...]:
    filters, serializer, compressors = codecs(metadata)
    return tuple(str(codec) for codec in (*filters, serializer, *compressors) if codec is not None)
