"""Loops over many chunks in C, each one call that does not hold the interpreter's lock.

The library is compiled when gpuzarr is built, if there is a C compiler (`build.py`). Where there is none, `library` is
None, and the callers do the same in Python.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

from gpuzarr.errors import GpuZarrWarning, warn

VERSION = 23  # of version.c: one more whenever what a function takes or does changes
_NUMBER, _ADDRESS = ctypes.c_int64, ctypes.c_void_p
_FUNCTIONS = {  # results and arguments: n numbers, a addresses
    "place": ("", "annna"),
    "cast": ("", "nnaanaaa"),
    "program": ("n", "anaan"),
    "touched": ("n", "anaaa"),
    "cut": ("n", "annanaaann"),
    "read": ("n", "anaa"),
    "call": ("n", "anaaaaa"),
    "call_one": ("n", "annnn"),
    "checksums": ("", "anaaa"),
    "fletcher32": ("n", "an"),
    "jenkins_lookup3": ("", "naaanna"),
    "vlen_measure": ("n", "annna"),
    "vlen_bytes": ("n", "anna"),
    "vlen_characters": ("n", "anna"),
    "xxh32": ("n", "an"),
    "sums": ("", "naann"),
    "turn": ("", "naaannaa"),
    "count_common_blosc": ("n", "naan"),
    "open_files": ("n", "nanaaa"),
    "close_files": ("", "na"),
    "write_files": ("n", "naaaa"),
    "read_ranges": ("n", "naaaaaa"),
    "versions": ("", "naa"),
    "downsample": ("", "anna"),
    "moments": ("", "nnnaa"),
    "bin": ("", "nnnaanaaa"),
    "tally": ("", "nnnaa"),
}


@cache
def library() -> Any:
    """The library; None where it was not compiled, or from other sources."""
    try:
        found = ctypes.CDLL(str(Path(__file__).parent / "gpuzarr_native.so"))
        found.gpuzarr_version.restype = _NUMBER
        if found.gpuzarr_version() != VERSION:
            again = "python gpuzarr/native/build.py compiles it again"
            warn(f"the C library of gpuzarr is of other sources, and not used, which is slow: {again}", GpuZarrWarning)
            return None
        for name, (result, arguments) in _FUNCTIONS.items():
            function, of = getattr(found, f"gpuzarr_{name}"), {"n": _NUMBER, "a": _ADDRESS, "": None}
            function.restype, function.argtypes = of[result], [of[kind] for kind in arguments]
    except (OSError, AttributeError):
        return None
    return found
