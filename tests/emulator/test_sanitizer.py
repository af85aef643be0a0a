"""The sanitizer of emulated kernels finds what is planted, and nothing in some of ours (`make sanitize`: in all)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emulator import compiled, sanitizer
from tests.emulator.planted import FAULTS

SOME = [  # kernels that read at odd addresses, share memory, and are soon compiled
    *("test_crc32[forward-CRC32]", "test_adler32[forward]", "test_the_first_bad_one_is_found"),
]
pytestmark = pytest.mark.skipif(
    compiled.compiler() is None or sanitizer.library() is None, reason="needs g++ and its AddressSanitizer"
)


def test_planted_faults_are_found(tmp_path: Path) -> None:
    done = sanitizer.run(["-m", "tests.emulator.planted", str(tmp_path)], XDG_CACHE_HOME=str(tmp_path))
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert told["right"].startswith("0, nothing"), done.stdout
    for name in FAULTS:
        status, said = told[name].split(", ", 1)
        assert status != "0" and "planted.cu:" in said, done.stdout


def test_kernels_touch_only_what_is_theirs() -> None:
    done = sanitizer.tests(
        [*(f"tests/gpu/test_kernels.py::{test}" for test in SOME), "-k", "not cuda and not backward and not shuffled"]
    )
    assert done.returncode == 0, done.stdout[-5000:]
