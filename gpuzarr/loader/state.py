"""The state of a loader: a small dict, as `json` can write it, from which an epoch goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpuzarr.checks import INT64_MAX, number, shown
from gpuzarr.errors import ArgumentError
from gpuzarr.loader.randomness import SEED_MAX

VERSION = 1  # of the state, and of the order that it means
NUMBERS = {"epoch": INT64_MAX, "position": INT64_MAX, "seed": SEED_MAX}  # and the largest of each


def state(epoch: int, position: int, seed: int, geometry: Mapping[str, str]) -> dict[str, Any]:
    """The state after `position` samples of all ranks in an epoch. Neither batch size nor world size is part of it."""
    counted = {"epoch": int(epoch), "position": int(position), "seed": int(seed)}
    return {"version": VERSION, **counted, "geometry": dict(geometry)}


def loaded(state: Any, seed: int, geometry: Mapping[str, str]) -> tuple[int, int]:
    """The epoch and the position of a state. ArgumentError, by name, for one of another seed or another geometry.

    The position may lie behind the samples of the epoch, which are not known here: `EpochOrder.count` refuses it.
    """
    if not isinstance(state, Mapping):
        raise ArgumentError(f"state must be a dict that state_dict() returned, not {shown(state)}")
    if missing := [name for name in ("version", *NUMBERS, "geometry") if name not in state]:
        raise ArgumentError(f"state has no {missing[0]!r}; it must be a dict that state_dict() returned")
    if number(state["version"], "version of the state", 0) != VERSION:
        raise ArgumentError(f"state has version {state['version']}; this gpuzarr reads version {VERSION}")
    epoch, position, its_seed = (number(state[name], f"{name} of the state", 0, high) for name, high in NUMBERS.items())
    if its_seed != seed:
        raise ArgumentError(f"state is of seed {its_seed}, the loader of seed {seed}: the order of samples differs")
    _check_geometry(state["geometry"], geometry)
    return epoch, position


def _check_geometry(its: Any, geometry: Mapping[str, str]) -> None:
    """Raise ArgumentError that names what differs from the geometry of the loader."""
    if not isinstance(its, Mapping) or not all(isinstance(text, str) for pair in its.items() for text in pair):
        raise ArgumentError(f"geometry of the state must be a dict of texts, not {shown(its)}")
    differing = [
        f"{name} is {_text(its, name)} in the state and {_text(geometry, name)} in the loader"
        for name in sorted(its.keys() | geometry.keys())
        if its.get(name) != geometry.get(name)
    ]
    if differing:
        raise ArgumentError(f"state is of another geometry, so the order of samples differs: {'; '.join(differing)}")


def _text(geometry: Mapping[str, str], name: str) -> str:
    """The value of a name in a geometry, for a message."""
    return shown(geometry[name]) if name in geometry else "absent"
