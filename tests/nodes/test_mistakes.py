"""A group taken for an array, and an array for a group: the error says what would have been right."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.errors import ArgumentError, NotFoundError, SelectionError

NO_PATHS = [
    *((key, "a group has members, and no values") for key in (slice(None), 0, ..., (), None, 1.5, True, np.int64(3))),
    *((key, "g['a'][0]") for key in (("a", 0), ("a", np.int64(0)))),
    (("a", slice(1, None), ...), "g['a'][1:, ...]"),
    (("a", slice(None, 4, 2)), "g['a'][:4:2]"),
    (["a", "b"], "[g[name] for name in names]"),
    (b"a", "a path is a str"),
]


@pytest.fixture
def g(tmp_path: Path) -> gpuzarr.Group:
    gpuzarr.save_group(tmp_path, **{"a": np.arange(5), "s/b": np.arange(3)})
    return gpuzarr.open_group(tmp_path, mode="r+")


@pytest.mark.parametrize(("key", "said"), NO_PATHS)
def test_what_is_no_path(g: gpuzarr.Group, key: Any, said: str) -> None:
    attempts: list[Any] = [g.__getitem__, g.get, g.__contains__, g.__delitem__, lambda key: g.__setitem__(key, 1)]
    for attempt in attempts:
        with pytest.raises(ArgumentError, match=re.escape(said)):
            attempt(key)


def test_what_was_typed_is_named(g: gpuzarr.Group) -> None:
    for key, said in ((slice(1, 3), "1:3 is not"), (..., "... is not"), (0, "0 is not")):
        with pytest.raises(ArgumentError, match=re.escape(said)):
            g[key]


def test_names_in_the_brackets_of_an_array(g: gpuzarr.Group) -> None:
    a = g["a"]
    for key in ("x", ["x"], ("x", 0)):
        with pytest.raises(
            SelectionError, match="no field 'x' in dtype int64; an array has no members, as groups have"
        ):
            a[key]  # type: ignore[index]


@pytest.mark.parametrize("is_consolidated", [False, True])
def test_paths_through_an_array(g: gpuzarr.Group, is_consolidated: bool) -> None:
    if is_consolidated:
        g = gpuzarr.consolidate_metadata(g.store)
    with pytest.raises(NotFoundError, match=r"at 'a/x' in .*; 'a' is an array, and has no members: select from it"):
        g["a/x"]
    with pytest.raises(
        NotFoundError, match=r"at 's/x' in .*there is at 's': 'b'" if is_consolidated else "at 's': 'b'"
    ):
        g["s/x"]
    with pytest.raises(NotFoundError, match=r"at 'x' in .*in it: 'a', 's'"):
        g["x"]


def test_attributes_that_only_the_others_have(g: gpuzarr.Group) -> None:
    a: Any = g["a"]
    group: Any = g
    for name in ("shape", "dtype", "oindex"):
        with pytest.raises(AttributeError, match=f"no attribute '{name}': this is a group, and its arrays have it"):
            getattr(g, name)
    for name in ("keys", "tree", "create_array", "members"):
        with pytest.raises(AttributeError, match=f"no attribute '{name}': this is an array, and groups have it"):
            getattr(a, name)
    with pytest.raises(AttributeError, match=re.escape("no attribute 'a'; if it is a member, it is g['a']")):
        group.a  # noqa: B018
    with pytest.raises(AttributeError, match=re.escape("no attribute 'value': a[...] are its values")):
        a.value  # noqa: B018
    assert not hasattr(g, "shape") and not hasattr(a, "keys") and not hasattr(g, "__array__")
    assert (copy.copy(g).keys(), copy.deepcopy(a).shape, pickle.loads(pickle.dumps(g)).keys()) == (
        ["a", "s"],
        (5,),
        ["a", "s"],
    )


def test_reports_are_shown_as_text(g: gpuzarr.Group) -> None:
    """Also where a notebook shows them by `repr`."""
    a: Any = g["a"]
    a[:2], a.set(0, 1)
    for report in (a.last_read, a.last_write, a.explain(0), a.explain_write(0)):
        assert repr(report) == str(report) and len(repr(report)) < 1000


def test_a_path_into_a_file(tmp_path: Path) -> None:
    gpuzarr.save_group(tmp_path / "a.zip", x=[1, 2])
    with pytest.raises(NotFoundError, match=r"'.*/a\.zip' is a file: open it, and give the path in it as `path`"):
        gpuzarr.open(tmp_path / "a.zip" / "x")
