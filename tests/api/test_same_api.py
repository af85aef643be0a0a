"""Each public function and keyword of zarr-python does the same here, or the README says how it differs."""

from __future__ import annotations

import pytest
import zarr

import gpuzarr
from tests.api.differences import LEFT_OUT
from tests.api.programs import arrays, creating, groups, parts
from tests.api.running import caught_alike, run
from tests.api.surface import Uses, surface

ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
pytestmark = pytest.mark.skipif(ZARR < (3, 4), reason="the programs are for a later zarr-python")
PROGRAMS = arrays.PROGRAMS | creating.PROGRAMS | groups.PROGRAMS | parts.PROGRAMS


def test_all_of_the_api_is_used() -> None:
    used = {name for program in PROGRAMS.values() for name in Uses(program).found}
    left = surface() - used
    assert left == LEFT_OUT.keys()


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    """A program gives the same result, or an error that is caught alike, and stores the same documents and chunks."""
    theirs, ours = run(PROGRAMS[name], zarr), run(PROGRAMS[name], gpuzarr)
    assert (theirs.error is None) == ("R = " in PROGRAMS[name] or "R += " in PROGRAMS[name]), repr(theirs.error)
    if theirs.error is not None:
        assert ours.error is not None, repr(theirs.error)
        assert caught_alike(ours.error, theirs.error), (repr(theirs.error), repr(ours.error))
        return
    assert ours.error is None, repr(ours.error)
    assert ours.result == theirs.result
    assert ours.documents == theirs.documents
    assert ours.chunks == theirs.chunks
