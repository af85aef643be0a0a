"""All kernels are compiled at once, or taken from where that was done before."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.sessions import build_kernels
from gpuzarr.devices import kernels


class Compiler:
    """Writes down what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def version(self) -> tuple[int, int]:
        return 13, 0

    def archs(self) -> tuple[int, ...]:
        return (90,)

    def compile(self, source: str, name: str, options: tuple[str, ...], strict: bool = False) -> bytes:
        self.asked.append((name, *(option for option in options if "ELEMENT_BYTES" in option)))
        return b"\x7fELF"


def test_each_kernel_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Compiler(), Compiler()
    for compiler, folder, more in ((first, "a", []), (second, "b", ["--compiled", str(tmp_path / "a/gpuzarr")])):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / folder))
        monkeypatch.setattr(kernels, "nvrtc", lambda compiler=compiler: compiler)
        for _ in range(2):
            kernels.cubin.cache_clear()
            build_kernels.main(["--arch", "sm_90", *more])
    kernels.cubin.cache_clear()
    assert {name for name, *_ in first.asked} == set(kernels.sources()) and second.asked == []
    of_planes = {(f"--define-macro=ELEMENT_BYTES={width}",) for width in (1, 2, 4, 8, 16)}
    assert {tuple(asked[1:]) for asked in first.asked if asked[0] == "place_planes.cu"} == of_planes
    assert len(first.asked) == len(set(first.asked)) == len(list((tmp_path / "b/gpuzarr").iterdir()))
