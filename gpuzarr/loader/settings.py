"""The arguments of a loader, checked: all that a process needs to make it anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpuzarr.checks import flag, number, one_of
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.order.share import Batching
from gpuzarr.loader.order.shuffle import BlockShuffle, shuffle_of
from gpuzarr.loader.randomness import SEED_MAX
from gpuzarr.read.memory import parse_bytes

MAX_PREFETCH = 1 << 10  # batches


@dataclass(frozen=True)
class Settings:
    """See `gpuzarr.Loader`. `domains`: the parts of each store that samples lie in; None: as `sample` says."""

    arrays: Any
    batch_size: int
    sample: Any
    window: Any
    shuffle: BlockShuffle | None
    seed: int
    rank: int
    world_size: int
    drop_last: bool
    dtype: Any
    normalize: Any
    fill_to_nan: Any
    spacing: Any
    translation: Any
    part: Any
    origins: bool
    to: str | None
    prefetch: int
    memory_limit: int | None
    on_error: Any
    progress: bool
    domains: Any = None

    @classmethod
    def of(cls, **given: Any) -> Settings:
        """Those that a user gives. ArgumentError where one is wrong by itself."""
        limit = given["memory_limit"]
        batching = Batching(given["batch_size"], given["rank"], given["world_size"], given["drop_last"])
        checked = {
            **vars(batching),
            "shuffle": shuffle_of(given["shuffle"]),
            "seed": number(given["seed"], "seed", 0, SEED_MAX),
            "origins": flag(given["origins"], "origins"),
            "to": one_of(given["to"], "to", None, "numpy", "cupy", "torch", "jax"),
            "prefetch": number(given["prefetch"], "prefetch", 0, MAX_PREFETCH),
            "memory_limit": None if limit is None else parse_bytes(limit),
            "on_error": one_of(given["on_error"], "on_error", "raise", "skip", "fill"),
            "progress": flag(given["progress"], "progress"),
        }
        if given["origins"] and "origins" in given["arrays"]:
            raise ArgumentError("origins=True adds 'origins' to each batch: no array may have that name")
        return cls(**(given | checked))
