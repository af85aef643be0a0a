"""Emulated kernels under AddressSanitizer and UndefinedBehaviorSanitizer: what they touch beside their memory is told.

    python -m tests.emulator tests/gpu/test_kernels.py

runs pytest in a process in which g++'s AddressSanitizer is loaded first, and kernels are compiled with it. The first
fault ends that process, with the kernel's file and line. Each allocation of the emulated device then ends, for kernels,
at the next 4 bytes: they may read the aligned 4 bytes around any byte that is theirs (kernels/common.cuh), which a GPU
always has. So do shared arrays at their last byte. Memory that was freed is as good as beside. What NumPy and libraries
do is not looked at.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch

VARIABLE = "GPUZARR_SANITIZE"  # set in the process that has the sanitizer
ON = VARIABLE in os.environ
WORD_BYTES = 4
FLAGS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
OPTIONS = (
    "detect_leaks=0",  # Python's own
    "replace_intrin=0",  # NumPy copies whole buffers, with the gaps between chunks
    "intercept_strlen=0:intercept_memcmp=0:intercept_memmem=0",
    "allocator_may_return_null=1",  # as malloc does, for what nobody has
    "handle_segv=0",  # pytest's faulthandler tells of those, with Python's lines
)
ROOT = Path(__file__).parents[2]


def library() -> str | None:
    """The sanitizer's shared library, of the compiler that compiles the kernels; None where it was not installed."""
    try:
        found = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    path = Path(found.stdout.strip())
    return str(path.resolve()) if path.is_absolute() else None


def run(arguments: Sequence[str], **more: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the sanitizer loaded: its status, and what it and the sanitizer printed. `more`: environment."""
    there = library()
    assert there, "g++ has no AddressSanitizer here"
    environment = {**os.environ, VARIABLE: "1", "LD_PRELOAD": there, "ASAN_OPTIONS": ":".join(OPTIONS), **more}
    environment["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1"
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def tests(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run pytest with the sanitizer."""
    return run(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "-s", *arguments])


@cache
def _functions() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def close(memory: np.ndarray, first: int, end: int) -> None:
    """Have every access of a kernel to bytes `first` to before `end` of memory told. Nothing without the sanitizer."""
    if ON and first < end:
        begin = memory.ctypes.data + first
        _functions().__asan_poison_memory_region(ctypes.c_void_p(begin), ctypes.c_size_t(end - first))


def word_ends(ends: Any) -> Any:
    """The ends of the words that hold the last bytes."""
    return -(-ends // WORD_BYTES) * WORD_BYTES


def in_words(made: np.ndarray) -> np.ndarray:
    """An array as it is where it lies in another's memory; else a copy in memory of whole words."""
    if made.base is not None or not made.nbytes or made.dtype.hasobject:
        return made
    memory = np.empty(int(word_ends(made.nbytes)), np.uint8)
    order: Any = "F" if made.flags.f_contiguous and not made.flags.c_contiguous else "C"
    copied = np.ndarray(made.shape, made.dtype, memory, order=order)
    copied[...] = made
    return copied


def close_around(memory: np.ndarray, first: int, end: int) -> None:
    """Close memory but for its bytes from `first` to before `end`, and the rest of the word that holds the last."""
    close(memory, 0, first)
    close(memory, word_ends(end), len(memory))


def apart(batch: EncodedBatch) -> EncodedBatch:
    """Close what lies between the chunks of a batch."""
    ends = [*batch.starts[1:].tolist(), len(batch.data)]
    if ON and len(batch):
        for begin, end in zip(word_ends(batch.starts + batch.sizes).tolist(), ends, strict=True):
            close(batch.data, begin, end)
    return batch
