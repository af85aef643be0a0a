"""How commands print: plain text that stays the same, drawings on a terminal, JSON; and how commands end."""

from __future__ import annotations

import argparse
import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr import cli
from gpuzarr.cli import output

PROGRAM = """
import sys
from gpuzarr.cli import output
output.table(["codec", "cpu", "MB"], [["zstd", "yes", 1.5], ["[bold]", "no", 12]], title="codecs")
output.key_values({"shape": (3, 4), "none": None, "verdict": "ok"}, title="an array")
output.line("done", output.GOOD)
"""
PLAIN = """\
codecs
codec   cpu   MB
------  ---  ---
zstd    yes  1.5
[bold]  no    12
an array
  shape    (3, 4)
  verdict  ok
done
"""


def on_terminal(program: str, **environment: str) -> str:
    """What a program writes to a terminal of 80 columns."""
    parent, child = pty.openpty()
    names = {"PATH", "HOME", "PYTHONPATH", "LD_LIBRARY_PATH"}
    env = {name: value for name, value in os.environ.items() if name in names} | {
        "COLUMNS": "80",
        "TERM": "xterm-256color",
    }
    process = subprocess.Popen([sys.executable, "-c", program], stdout=child, env=env | environment)
    os.close(child)
    found = b""
    try:
        while part := os.read(parent, 4096):
            found += part
    except OSError:  # the end of a terminal
        pass
    os.close(parent)
    assert process.wait() == 0
    return found.decode()


def test_plain_text() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == PLAIN


def test_a_terminal_that_can_nothing_gets_plain_text() -> None:
    assert on_terminal(PROGRAM, TERM="dumb").replace("\r\n", "\n") == PLAIN


def test_a_terminal_gets_plain_text_without_rich() -> None:
    hidden = "import sys; sys.modules['rich.console'] = None\n" + PROGRAM
    assert on_terminal(hidden).replace("\r\n", "\n") == PLAIN


def test_a_terminal_gets_drawings_and_colours() -> None:
    pytest.importorskip("rich")
    drawn = on_terminal(PROGRAM)
    assert "\x1b[32myes" in drawn and "\x1b[31mno" in drawn and "─" in drawn and "[bold]" in drawn
    without = on_terminal(PROGRAM, NO_COLOR="1")
    assert "\x1b[3" not in without and "─" in without and "(3, 4)" in without


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 << 40, "5 TiB")]
)
def test_bytes(count: int, text: str) -> None:
    assert output.byte_text(count) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(0, "0 MB/s"), (12.34e6, "12.3 MB/s"), (2.5e9, "2.5 GB/s"), (3e12, "3000 GB/s")]
)
def test_rates(rate: float, text: str) -> None:
    assert output.rate_text(rate) == text


def test_names_from_a_store_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(["a"], [["\x1b[2J\nb"]])
    output.key_values({"a": "\x1b[2J"}, title="\r")
    output.line("\udc80\x07")
    assert not set(capsys.readouterr().out) & {"\x1b", "\r", "\x07", "\udc80"}


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True)
    class Found:
        a: Any
        b: dict[str, Any]

    found = Found(np.arange(2), {"nan": np.float32("nan"), "infinite": [-np.inf, np.inf], "path": Path("x"), "t": True})
    output.print_json(found)
    values = {"nan": "NaN", "infinite": ["-Infinity", "Infinity"], "path": "x", "t": True}
    assert json.loads(capsys.readouterr().out) == {"a": [0, 1], "b": values}


# how commands end


def ending(monkeypatch: pytest.MonkeyPatch, end: Any, **defaults: Any) -> int:
    """The exit code of `gpuzarr test`, which calls `end`."""

    class Command:
        @staticmethod
        def add(commands: Any) -> None:
            commands.add_parser("test").set_defaults(run=end, **defaults)

    monkeypatch.setattr(cli, "COMMANDS", (Command,))
    return cli.main(["test"])


def raising(error: BaseException) -> Any:
    def run(options: argparse.Namespace) -> None:
        raise error

    return run


def test_a_command_says_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ending(monkeypatch, lambda options: None) == 0
    assert ending(monkeypatch, lambda options: 3) == 3


def test_errors(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(monkeypatch, raising(gpuzarr.NotFoundError("nothing\nthere"))) == 1
    assert capsys.readouterr().err == "gpuzarr: nothing there\n"
    assert ending(monkeypatch, raising(PermissionError(13, "no", "x")), error_code=2) == 2
    assert capsys.readouterr().err == "gpuzarr: [Errno 13] no: 'x'\n"


def test_interrupts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending(monkeypatch, raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "gpuzarr: interrupted\n"
    assert ending(monkeypatch, raising(KeyboardInterrupt()), going_on="the same command goes on") == 130
    assert capsys.readouterr().err == "gpuzarr: interrupted; the same command goes on\n"


@pytest.mark.parametrize("command", [command.__name__.rpartition(".")[2] for command in cli.COMMANDS])
def test_help_explains_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0 and f"    gpuzarr {command} " in text.partition("options:")[0]
