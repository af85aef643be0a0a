"""Ceilings that nobody is faster than: one bare call of nvCOMP; files read and written in every way there is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness import bare, kept, page_cache, pieces
from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import find
from gpuzarr.devices.cost import Costs
from gpuzarr.devices.select import device as device_of

ROOT = Path(__file__).parents[2]
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulated GPU needs g++")
CODECS = {
    "zstd": ("zstd", {"level": 3}),
    "zlib": ("zlib", {"level": 4}),
    "gzip": ("gzip", {"level": 4}),
    "blosc-lz4": ("blosc", {"cname": "lz4", "typesize": 4}),
    "blosc-zstd": ("blosc", {"cname": "zstd", "typesize": 4}),
}
CHUNK, COUNT = 20_000, 5


def emulated() -> Any:
    from tests.hardware import emulated as make

    return make()


def chunks(name: str) -> tuple[Any, EncodedBatch, np.ndarray]:
    """A codec, chunks that it encoded on the CPU, and what they are."""
    identifier, configuration = CODECS[name]
    codec = find(identifier, configuration, 2)
    values = np.arange(CHUNK * COUNT // 4, dtype=np.float32).view(np.uint8)
    plain = EncodedBatch(values, np.arange(COUNT) * CHUNK, np.full(COUNT, CHUNK))
    return codec, codec.encode(plain, BytesSpec(CHUNK), device_of("cpu")), values


def counted(library: Any, calls: list[tuple[str, int]]) -> Any:
    """nvCOMP that notes how many streams each of its launches has."""

    class Counted:
        def __getattr__(self, name: str) -> Any:
            found = getattr(library, name)
            if not name.endswith("Async"):
                return found
            position = 4 if "Decompress" in name else 3

            def launch(*arguments: Any) -> Any:
                calls.append((name, arguments[position]))
                return found(*arguments)

            return launch

    return Counted()


@needs_compiler
@pytest.mark.parametrize("name", CODECS)
def test_nvcomp_alone_is_one_call_for_all_streams(name: str) -> None:
    """However the codec's own calls are split, and whatever the cost model would leave to the host."""
    device, (codec, encoded, values) = emulated(), chunks(name)
    device.cost = Costs(where="host")
    on_device = EncodedBatch(device.upload(encoded.data), encoded.starts, encoded.sizes, encoded.data)
    into = device.encoded_batch(np.full(COUNT, CHUNK))
    calls: list[tuple[str, int]] = []
    device._library = counted(device._library, calls)
    made: Any = kept.Kept(device)
    codec.decode(on_device, BytesSpec(CHUNK), made, into)
    device.checked()()
    given = sum(streams for _, streams in calls)
    (call,) = made.bare()
    calls.clear()
    for i in range(COUNT):
        into[i].fill(0)
    call.launch()
    call.check()
    assert [streams for _, streams in calls] == [given] and given >= COUNT
    if not name.startswith("blosc"):  # whose streams are shuffled bytes
        assert all(np.array_equal(device.download(into[i]), values[i * CHUNK :][:CHUNK]) for i in range(COUNT))
    alone = kept.decoding(device, codec, on_device, BytesSpec(CHUNK), into, 2)
    assert len(alone.seconds) == 2 and alone.streams == given and not alone.why
    device.check_guards()


@needs_compiler
@pytest.mark.parametrize("name", CODECS)
def test_nvcomp_alone_encodes_in_one_call(name: str) -> None:
    device, (codec, _, values) = emulated(), chunks(name)
    plain = EncodedBatch(device.upload(values), np.arange(COUNT) * CHUNK, np.full(COUNT, CHUNK))
    calls: list[tuple[str, int]] = []
    device._library = counted(device._library, calls)
    alone = kept.encoding(device, codec, plain, BytesSpec(CHUNK), 1)
    assert len(alone.seconds) == 1 and alone.streams >= COUNT and not alone.why
    assert [streams for _, streams in calls[-2:]] == [alone.streams] * 2  # one that does not count, and one that does
    device.check_guards()


@needs_compiler
def test_what_the_device_cannot_hold_is_told_and_not_split(monkeypatch: pytest.MonkeyPatch) -> None:
    device, (codec, encoded, _) = emulated(), chunks("zstd")
    on_device = EncodedBatch(device.upload(encoded.data), encoded.starts, encoded.sizes, encoded.data)

    def none_left(*_: Any) -> Any:
        raise MemoryError("Out of memory allocating 9 bytes")

    monkeypatch.setattr(bare, "_memory", none_left)
    alone = kept.decoding(device, codec, on_device, BytesSpec(CHUNK), None, 1)
    assert alone.seconds == [] and "cannot hold one call" in alone.why and "9 bytes" in alone.why


@needs_compiler
def test_a_bare_call_with_a_bad_stream_is_no_ceiling() -> None:
    device, (codec, encoded, _) = emulated(), chunks("zstd")
    on_device = EncodedBatch(device.upload(encoded.data), encoded.starts, encoded.sizes, encoded.data)
    made: Any = kept.Kept(device)
    codec.decode(on_device, BytesSpec(CHUNK), made, None)
    (call,) = made.bare()
    with pytest.raises(RuntimeError, match="failed"):
        call.check()  # nothing was launched
    call.launch()
    call.check()
    on_device.data[int(encoded.starts[1]) : int(encoded.starts[1]) + 20].fill(0)
    call.launch()
    with pytest.raises(RuntimeError, match="zstd"):
        call.check()


def files(folder: Path) -> dict[Path, bytes]:
    """Two small files, one below a folder, an empty one, and one that is shared in pieces."""
    (folder / "c").mkdir()
    contents = {"a": b"a" * 1000, "c/b": b"b" * 5000, "nothing": b"", "large": bytes(range(256)) * 10}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {folder / name: content for name, content in contents.items()}


@pytest.mark.parametrize("write", [False, True])
def test_files_are_read_and_written_whole(write: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "MAX_PIECE_BYTES", 1000)
    contents = files(tmp_path)
    assert sum(nbytes for _, _, nbytes in page_cache.pieces_of(tmp_path)) == 8560
    rates = page_cache.measured(tmp_path, 2, (1, 3), write)
    assert rates.nbytes == 8560 and rates.threads.keys() == rates.processes.keys() == {1, 3}
    assert all(len(rounds) == 2 and min(rounds) > 0 for rounds in [*rates.threads.values(), *rates.processes.values()])
    assert rates.seconds == min(np.median(x) for way in (rates.threads, rates.processes) for x in way.values())
    assert json.loads(json.dumps(rates.asdict()))["GB/s"].keys() == {"threads", "processes"}
    assert {path: path.read_bytes() for path in contents} == contents


def test_pieces_are_what_the_files_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "MAX_PIECE_BYTES", 1000)
    contents = files(tmp_path)
    found = page_cache.pieces_of(tmp_path)
    for (path, first, nbytes), room in zip(found, pieces.rooms_of(found, True), strict=True):
        assert bytes(room) == contents[Path(path)][first : first + nbytes]


def test_numbers_of_threads_end_with_the_cores() -> None:
    assert [page_cache.up_to(cores) for cores in (1, 2, 6, 16)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8, 16]]


def test_a_process_that_cannot_go_on_is_no_hang(tmp_path: Path) -> None:
    with page_cache.processes(1) as started, pytest.raises(RuntimeError, match="status"):
        page_cache.by_processes([(str(tmp_path / "missing"), 0, 10)], started, 1, True)


def test_processes_import_nothing_that_knows_a_gpu() -> None:
    code = f"import sys; sys.argv = [{pieces.__file__!r}]; exec(open(sys.argv[0]).read()); print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", code]
    said = subprocess.run(command, input="", capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
    assert not {"numpy", "cupy", "gpuzarr", "benchmarks"} & set(said) and "json" in said
