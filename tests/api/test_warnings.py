"""A warning is of the line of the program that it is about, and says each thing once."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
import gpuzarr.codecs

MAKERS = (  # that take all keywords by which an array is made
    *("zarr.create(3, {})", "zarr.zeros(3, {})", "zarr.ones(3, {})", "zarr.empty(3, {})", "zarr.full(3, 1, {})"),
    *("zarr.array([1], {})", "zarr.zeros_like(np.ones(3), {})", "zarr.ones_like(np.ones(3), {})"),
    *("zarr.empty_like(np.ones(3), {})", "zarr.full_like(np.ones(3), fill_value=1, {})"),
    *("zarr.open('new', mode='w', shape=3, {})", "zarr.open_array('new', mode='w', shape=3, {})"),
    *("zarr.open_like(np.ones(3), 'new', mode='w', {})", "zarr.create_array({{}}, shape=3, dtype='i4', {})"),
    *("g.zeros(name='a', shape=3, {})", "g.ones(name='a', shape=3, {})", "g.empty(name='a', shape=3, {})"),
    *("g.full(name='a', shape=3, fill_value=1, {})", "g.zeros_like(name='a', data=np.ones(3), {})"),
    *("g.create_array('a', shape=3, dtype='i4', {})", "g.create('a', shape=3, dtype='i4', {})"),
    *("g.create_dataset('a', shape=3, dtype='i4', {})", "g.require_array('a', shape=3, dtype='i4', {})"),
    "g.require_dataset('a', shape=3, dtype='i4', {})",
)
OPENERS = (
    *("zarr.open('one', {})", "zarr.open_array('one', {})", "zarr.load('one', {})", "zarr.open_group('two', {})"),
    *("zarr.open_consolidated('two', {})", "zarr.group('two', {})"),
)
PROGRAMS = (
    *(call.format(older) for call in MAKERS for older in ("compressor=None", "order='F'", "write_empty_chunks=True")),
    *(call.format("synchronizer=object(), cache_attrs=True") for call in (*MAKERS, *OPENERS)),
    *(call.format("zarr_version=3") for call in OPENERS),
    *("zarr.save_array('new', np.ones(3), compressor=None)", "zarr.from_array({}, data=np.ones(3), order='F')"),
    *("zarr.zeros(3, zarr_format=2).compressor", "zarr.tree(g)", "zarr.config.set({'async.concurrency': 3})"),
    "zarr.codecs.BloscCodec(cname=zarr.codecs.BloscCname.lz4)",
    "zarr.open('elsewhere', mode='r')[:]",
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_lines(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    gpuzarr.save("one", np.arange(3))
    gpuzarr.save_group("two", a=np.arange(3))
    gpuzarr.consolidate_metadata("two")
    elsewhere: Any = gpuzarr.create_array("elsewhere", shape=4, dtype="i4", chunks=2, zarr_format=2)
    elsewhere.store.set("c/0", b"of another layout")
    names = {"zarr": gpuzarr, "np": np, "g": gpuzarr.group()}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        exec(compile(f"\n\n{program}", "of a user", "exec"), names)
    gpuzarr.config.reset()
    assert warned
    assert {(warning.filename, warning.lineno) for warning in warned} == {("of a user", 3)}
    assert max(Counter(str(warning.message) for warning in warned).values()) == 1
