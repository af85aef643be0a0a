"""A session on a GPU: each step ends in time and alone, whatever becomes of it; what it left is never lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("zarr")
from benchmarks.sessions import prove, session, tell, wheels
from benchmarks.sessions.session import Session
from benchmarks.sessions.steps import LEFT, Step


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return sys.executable, "-c", code, *arguments


def names(archive: Path) -> set[str]:
    with tarfile.open(archive) as tar:
        return {Path(name).name for name in tar.getnames()}


def test_steps_end_alone_and_in_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    chosen = [
        Step("fails", python("print('why it fails'); raise SystemExit(3)"), 30),
        Step("hangs", python(child), 1),
        Step("is missing", (), 30, "a tool was not found"),
        Step("works", python("print('fine')"), 30),
    ]
    made = Session(tmp_path, {})
    prove.run_all(chosen, made, 60)
    assert [each["status"] for each in made.done] == [3, "ended after 1 seconds", "a tool was not found", 0]
    assert (tmp_path / "works.log").read_text() == "fine\n"
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [f"== fails: 3, {made.done[0]['seconds']} s", "why it fails"]
    prove.run_all(chosen[3:], made, 0)
    assert made.done[-1]["status"] == "no time was left"


def test_what_an_earlier_session_left_is_not_taken_for_this_one(tmp_path: Path) -> None:
    left = tmp_path / "gpu_read.json"
    left.write_text("{}")
    prove.run(Step("bench", (*python("raise SystemExit(1)"), "--output", str(left)), 10), tmp_path, 10)
    assert not left.exists()


def test_a_step_that_stretches_gets_what_others_do_not_need(tmp_path: Path) -> None:
    first, second = Step("a", (), 10, stretches=True), Step("b", (), 30)
    assert prove.limit([first, second], 100) == 70 and prove.limit([second, first], 100) == 30
    assert prove.limit([first, second], 35) == 10 and prove.limit([first, second], 4) == 4
    prove.run(Step("told", python("import sys; print(sys.argv[1])", LEFT), 30), tmp_path, 30)
    assert (tmp_path / "told.log").read_text() == "15\n" and prove.measuring(200) == 175


def test_what_is_printed_is_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So that the end of what a session prints holds all of its steps: the last lines of each. What short ones do not
    need, later ones get."""
    long = "print(*(f'line {i}' for i in range(10000)), sep='\\n')"
    chosen = [Step(f"s{i}", python(code), 30) for i, code in enumerate(["print('fine')", long, long])]
    prove.run_all(chosen, Session(tmp_path, {}), 60)
    said = capsys.readouterr().out
    assert prove.TOLD * 0.95 < len(said) < prove.TOLD + 200
    assert said.count("line 9999\n") == 2 and said.count("...\nline ") == 2 and "fine\n" in said


def test_a_step_is_kept_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends all at once, in the middle of a long step, leaves what that step had found a moment before."""
    monkeypatch.setattr(prove, "KEEPING", 0.05)
    made = Session(tmp_path, {}, tmp_path / "out" / "a.tar.gz")
    code = f"open({str(tmp_path / 'suite.json')!r}, 'w').write('{{}}'); import time; time.sleep(60)"

    def write() -> None:
        Session.write(made)
        if made.document()["results"]:
            raise MemoryError

    monkeypatch.setattr(made, "write", write)
    with pytest.raises(MemoryError):
        prove.run_all([Step("suite", python(code), 30)], made, 60)
    assert json.loads(made.place.read_text())["results"] == {"suite": {}} and made.done == []
    assert {"suite.json", "suite.log"} <= names(tmp_path / "out" / "a.tar.gz")


def test_damage_has_short_limits_unless_others_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUZARR_DAMAGING_FAILURES", "5")
    code = "import os; print([os.environ['GPUZARR_DAMAGING_' + name] for name in ('SECONDS', 'FAILURES')])"
    prove.run(Step("told", python(code), 30), tmp_path, 30)
    assert (tmp_path / "told.log").read_text().strip() == "['30', '5']"


def test_every_step_is_kept_before_the_next_one_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a machine that is taken away would leave it."""
    archive, folder = tmp_path / "out" / "session.tar.gz", tmp_path / "session"
    folder.mkdir()
    monkeypatch.setattr(session.timing, "clocks", lambda: ["SM : 1980 MHz"])
    monkeypatch.setattr(session, "LOG_BYTES", 100)
    made = Session(folder, {"device": "cuda"}, archive)
    (folder / "gpu_write.json").write_text("{}")
    os.utime(folder / "gpu_write.json", (0, 0))  # as another session left it
    seen: list[Any] = []

    def looking(step: Step, into: Path, limit: float, keep: object) -> dict[str, Any]:
        seen.append((json.loads(made.place.read_text())["steps"], names(archive)) if seen else None)
        (into / "probe_smoke.json").write_text('{"cases": {}}')
        (into / "gpu_read.json").write_text('{"half": ')
        (into / f"{step.name}.log").write_text("x" * 500)
        tell.tell(into / "sanitizer-memcheck.jsonl", "one", "passed")
        tell.tell(into / "sanitizer-memcheck.jsonl", "two", "begun")
        return {"step": step.name, "status": 0, "seconds": 1.0}

    monkeypatch.setattr(prove, "run", looking)
    prove.run_all([Step("first", (), 1), Step("second", (), 1)], made, 60)
    steps, packed = seen[1]
    assert [step["step"] for step in steps] == ["first"]
    assert {"first.log", "probe_smoke.json", "sanitizer-memcheck.jsonl", made.place.name} <= packed
    made.finish()
    document = json.loads(made.place.read_text())
    assert document["results"] == {"probe_smoke": {"cases": {}}} and document["settings"] == {"device": "cuda"}
    assert document["clocks"] == {"before": ["SM : 1980 MHz"], "after": ["SM : 1980 MHz"]}
    assert document["sanitizer"]["sanitizer-memcheck"] == {
        "passed": 1,
        "failed": 0,
        "skipped": 0,
        "not ended": "two",
        "failures": [],
    }
    assert [path.name for path in archive.parent.iterdir()] == ["session.tar.gz"]
    with tarfile.open(archive) as tar:
        assert tar.getmember("session/second.log").size == 100


def test_the_corpus_is_unpacked_as_it_was_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus/a.zarr").mkdir(parents=True)
    (tmp_path / "corpus/a.zarr/.zarray").write_bytes(b"{}")
    wheels.pack(tmp_path / "corpus", tmp_path / "corpus.tar.xz")
    for _ in range(2):  # the second time over the first
        folder = prove.unpacked(tmp_path / "corpus.tar.xz", tmp_path / "there")
        assert [file.relative_to(folder) for file in folder.rglob("*") if file.is_file()] == [Path("a.zarr/.zarray")]
    prove.unpacked(tmp_path / "corpus.zip", tmp_path / "nowhere")
    assert "without the corpus" in capsys.readouterr().out and not (tmp_path / "nowhere").exists()


SLEEPING = """
import sys
from pathlib import Path
from benchmarks.sessions import prove
from benchmarks.sessions.steps import Step

begun = "open('begun', 'w').close(); import time; time.sleep(60)"
chosen = [Step("works", (sys.executable, "-c", "pass"), 30), Step("sleeps", (sys.executable, "-c", begun), 60)]
prove.steps = lambda *arguments: [*chosen, Step("waits", (sys.executable, "-c", "pass"), 30)]
prove.ROOT = Path.cwd()
prove.main(sys.argv[1:])
"""


def test_a_session_that_is_stopped_keeps_what_it_has(tmp_path: Path) -> None:
    how = ["--into", str(tmp_path / "session"), "--archive", str(tmp_path / "session.tar.gz")]
    environment = {"PYTHONPATH": str(prove.ROOT), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen([*python(SLEEPING), *how], cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 1
    (place,) = (tmp_path / "session").glob("no-gpu-*.json")
    steps = {step["step"]: step["status"] for step in json.loads(place.read_text())["steps"]}
    assert steps == {"works": 0, "sleeps": prove.STOPPED}
    assert {place.name, "works.log", "sleeps.log"} <= names(tmp_path / "session.tar.gz")


def test_steps_know_the_entry_points_where_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = python("import os; print(os.environ['PYTHONPATH'])")
    monkeypatch.setattr(prove.entry_points, "missing", lambda: True)
    monkeypatch.setattr(prove, "steps", lambda *arguments: [Step("told", told, 30)])
    monkeypatch.setattr(prove.signal, "signal", lambda *handler: None)
    monkeypatch.setenv("PYTHONPATH", "before")
    prove.main(["--into", str(tmp_path / "s")])
    first, *others = (tmp_path / "s/told.log").read_text().strip().split(os.pathsep)
    assert others == ["before"] and [each.suffix for each in Path(first).iterdir()] == [".dist-info"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="the emulated GPU needs g++")
def test_a_session(tmp_path: Path) -> None:
    into, archive = tmp_path / "session", tmp_path / "session.tar.gz"
    how = ["--device", "emulated", "--tiny", "--into", str(into), "--archive", str(archive)]
    how += ["--steps", "probe-copies,calibrate,bench-gpu_kernels"]
    command = [sys.executable, "-m", "benchmarks.sessions.prove", *how]
    done = subprocess.run(command, cwd=prove.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (place,) = into.glob("*-2*.json")
    document = json.loads(place.read_text())
    assert set(document["results"]) == {"probe_copies", "costs", "gpu_kernels"} and "seconds in all" in done.stdout
    assert [step["status"] for step in document["steps"]] == [0, 0, 0]
    assert {"date", "commit", "cpu", "cores", "gpu", "versions", "settings"} <= set(document)
    assert {"gpu_kernels.svg", "probe-copies.log", place.name} <= names(archive)
