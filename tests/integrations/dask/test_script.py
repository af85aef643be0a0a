"""The script that the README names runs: it sums, rechunks and writes a store with two processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("distributed")
ROOT = Path(__file__).parents[3]


def test_the_script_runs() -> None:
    command = [sys.executable, "-m", "benchmarks.questions.dask_cluster", "--days", "64"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "2 workers" and said[1].startswith("written: (64, 256, 256), shards (32, 256, 256)")
    assert said[2].endswith("a mean of 0.5000") or abs(float(said[2].rsplit(" ", 1)[1]) - 0.5) < 0.001
    assert said[3] == "rechunked: (64, 256, 256), chunks (64, 8, 8); its sum is the same"
