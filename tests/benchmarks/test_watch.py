"""What is ended is ended with all that it began."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.watch import alive, hung, kill

CHILD = "import os, subprocess, sys, time; {before}open('pids', 'a').write(f'{{os.getpid()}} '); {after}time.sleep(60)"
LEAF = CHILD.format(before="", after="")


def gone(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("leads", [{"start_new_session": True}, {"process_group": 0}])
def test_children_end_too(leads: dict[str, Any], tmp_path: Path) -> None:
    """Also those in a process group of their own, where the process leads a session."""
    own = ", process_group=0" if "start_new_session" in leads else ""
    code = CHILD.format(before="", after=f"subprocess.Popen([sys.executable, '-c', {LEAF!r}]{own}); ")
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, **leads)
    pids = tmp_path / "pids"
    while not pids.exists() or len(pids.read_text().split()) < 2:
        time.sleep(0.01)
    numbers = [int(word) for word in pids.read_text().split()]
    assert alive(process) == set(numbers) and process.pid in numbers
    kill(process)
    assert process.poll() == -9 and not alive(process) and all(gone(number) for number in numbers)
    kill(process)  # is nothing then


def test_one_that_leads_nothing_ends_alone(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    told = tmp_path / "told"
    told.touch()
    os.utime(told, (0, 0))
    assert hung(process, told, 10) and process.poll() == -9
    assert not gone(os.getpid())


def test_one_that_ends_is_not_hung(tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.touch()
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    assert not hung(process, told, 60) and process.returncode == 3


def test_one_that_waits_is_as_loud_as_what_it_waits_for(tmp_path: Path) -> None:
    told, heard = tmp_path / "told", tmp_path / "heard"
    told.touch()
    heard.touch()
    os.utime(heard, (0, 0))
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    assert not hung(process, told, 60, heard=heard)
    assert heard.stat().st_mtime == told.stat().st_mtime
    os.utime(told, (0, 0))
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert hung(process, told, 10, heard=heard) and heard.stat().st_mtime > 0, "silence touches nothing"
