"""Each public function and keyword of zarr-python does the same here, or the README says how it differs.

An older zarr-python than the one that the programs are for is not asked: what the newer one gave is on record.
"""

from __future__ import annotations

import pytest
import zarr

import gpuzarr
from tests.api.differences import LEFT_OUT
from tests.api.programs import PROGRAMS
from tests.api.record import brief, recorded
from tests.api.running import caught_alike, run
from tests.api.surface import Uses, surface

ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
RECORDED = recorded()
IS_NEW = pytest.mark.skipif(ZARR < (3, 4), reason="the programs are for a later zarr-python")


@IS_NEW
def test_all_of_the_api_is_used() -> None:
    used = {name for program in PROGRAMS.values() for name in Uses(program).found}
    left = surface() - used
    assert left == LEFT_OUT.keys()


@IS_NEW
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name: str) -> None:
    """A program gives the same result, or an error that is caught alike, and stores the same documents and chunks."""
    theirs, ours = run(PROGRAMS[name], zarr), run(PROGRAMS[name], gpuzarr)
    if zarr.__version__ == RECORDED["zarr"]:
        assert brief(theirs) == RECORDED[name], "record it: python -m tests.api.record"
    if theirs.error is not None:
        assert ours.error is not None, repr(theirs.error)
        assert caught_alike(ours.error, theirs.error), (repr(theirs.error), repr(ours.error))
        return
    assert ours.error is None, repr(ours.error)
    assert ours.result == theirs.result
    assert ours.documents == theirs.documents
    assert ours.chunks == theirs.chunks


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_as_recorded(name: str) -> None:
    ours, theirs = run(PROGRAMS[name], gpuzarr), RECORDED[name]
    if isinstance(theirs, list):
        assert ours.error is not None and set(theirs) & {kind.__name__ for kind in type(ours.error).__mro__}, theirs
    else:
        assert ours.error is None, repr(ours.error)
        assert brief(ours) == theirs, ours


def test_nothing_is_recorded_of_programs_that_are_gone() -> None:
    assert RECORDED.keys() - {"zarr"} == PROGRAMS.keys()
