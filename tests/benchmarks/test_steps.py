"""The steps of a session on a GPU: all of them are programs of ours, and the sessions fit into the time that is had."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("zarr")
from benchmarks.questions import gpu_read
from benchmarks.sessions import session, steps
from benchmarks.sessions.suite import ROOT

COMMAND, ALL = 570, 1800  # seconds
START = 110  # of a machine, and of installing there


def test_every_step_is_a_program_of_ours(tmp_path: Path) -> None:
    every = steps.steps(tmp_path)
    names = [step.name for step in every]
    assert len(names) == len(set(names))
    modules = [step.command[2] for step in every if not step.name.startswith("sanitizer")]
    assert all(find_spec(module) for module in modules)
    probes = {path.stem for path in (ROOT / "benchmarks/probes").glob("*.py")} - {"__init__", "batch", "child"}
    assert {f"benchmarks.probes.{name}" for name in probes - {"report"}} <= set(modules)
    benchmarks = {path.stem for path in (ROOT / "benchmarks/questions").glob("gpu_*.py")}
    assert {f"benchmarks.questions.{name}" for name in benchmarks} <= set(modules)
    assert all((ROOT / test).exists() for test in steps.KERNEL_TESTS)


def test_the_sanitizer_runs_all_tests_of_kernels() -> None:
    """But for those that run kernels as reads and writes do, behind nvCOMP, and those that compile them only."""
    others = {f"tests/gpu/test_{name}.py" for name in ("encoders", "decoders", "element_chains", "kernels_compile")}
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests/gpu").glob("test_*.py")}
    assert files == {file for file in steps.KERNEL_TESTS if file.startswith("tests/gpu/")} | others
    names = "\n".join(file + (ROOT / file).read_text() for file in steps.KERNEL_TESTS)
    assert all(word in names for word in steps.SHARED)


def test_all_that_steps_write_is_in_the_session_s_document(tmp_path: Path) -> None:
    outputs = [
        step.command[step.command.index("--output") + 1] for step in steps.steps(tmp_path) if "--output" in step.command
    ]
    assert {Path(output).stem for output in outputs} | {"costs"} == session.PARTS
    assert all(
        steps.LEFT in step.command for step in steps.steps(tmp_path) if step.name.startswith(("bench", "images"))
    )


def test_benchmarks_and_what_they_need_come_before_the_long_tail(tmp_path: Path) -> None:
    names = [step.name for step in steps.steps(tmp_path)]
    assert names[:5] == ["kernels", "probe-smoke", "probe-copies", "probe-two_streams", "calibrate"]
    assert names.index("bench-gpu_write") < names.index("suite") < names.index("probe-rates")
    second = [step.name for step in steps.of_session("2", steps.steps(tmp_path))]
    assert second[:3] == ["kernels", "calibrate", "bench-gpu_read"], "a new machine has no constants"


def test_sessions_fit_into_the_time_and_hold_everything(tmp_path: Path) -> None:
    every = steps.steps(tmp_path)
    parts = {number: steps.of_session(number, every) for number in steps.SESSIONS}
    for number, part in parts.items():
        assert sum(step.seconds for step in part) <= steps.SESSION_SECONDS[number] <= COMMAND
    assert sum(steps.SESSION_SECONDS[number] + START for number in "123") <= ALL
    assert {step.name for part in parts.values() for step in part} == {step.name for step in every}


def test_steps_are_chosen_by_how_their_names_begin(tmp_path: Path) -> None:
    every = steps.steps(tmp_path)
    chosen = steps.chosen_of(every, "probe-crc32c,bench")
    assert [step.name for step in chosen][:2] == ["bench-gpu_read", "bench-gpu_decode"] and len(chosen) == 6
    assert steps.chosen_of(every, "") == every
    with pytest.raises(SystemExit, match="no step begins with"):
        steps.chosen_of(every, "suite,bunch")


def test_the_sanitizer_is_found_or_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps.shutil, "which", lambda name, path=None: f"{path}/{name}" if path else None)
    command = steps.sanitizer("racecheck", tmp_path).command
    assert "/usr/local/cuda/bin/compute-sanitizer" in command and "racecheck" in command
    assert "-vv" in command and str(tmp_path / "sanitizer-racecheck.jsonl") in command
    assert command[command.index("-k") + 1].startswith("cuda and (bitshuffle or ")
    assert "GPUZARR_EXAMPLES=5" in command and "cuda" in steps.sanitizer("memcheck", tmp_path).command
    monkeypatch.setattr(steps.shutil, "which", lambda name, path=None: None)
    monkeypatch.setattr(steps, "find_spec", lambda name: None)
    missing = steps.sanitizer("memcheck", tmp_path)
    assert missing.command == () and "not found" in missing.why


def test_rows_of_whole_reads_are_in_the_order_of_their_worth() -> None:
    names = [row.name for row in gpu_read.ROWS]
    first = ["zstd, 256 KiB", "blosc-lz4, 1 MiB", "shards of zstd, 256 KiB", "zstd, 1 MiB", "shards of zstd, 1 MiB"]
    assert names[:6] == [*first, "raw, 1 MiB"] and len(set(names)) == len(names) == 15
    assert {row.codec for row in gpu_read.ROWS if row.goal} == set(gpu_read.CODECS) - {"raw"}
    assert not any(row.goal for row in gpu_read.ROWS[12:])


def test_the_readme_names_every_step_and_its_seconds(tmp_path: Path) -> None:
    """A row a step, or one of several: names, then as many seconds."""
    lines = (ROOT / "benchmarks/README.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `")]
    told = {}
    for names, _, seconds, _ in rows:
        numbers = [int(number) for number in re.findall(r"\d+", seconds)]
        told |= dict(zip(re.findall("`([^`]+)`", names), numbers, strict=True))
    every = steps.steps(tmp_path)
    assert told.keys() == {step.name for step in every}
    assert all(told[step.name] == step.seconds for step in every if step.command)
