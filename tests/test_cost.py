"""What the cost model decides, and that values do not depend on it."""

from __future__ import annotations

import json

import numcodecs
import numpy as np
import pytest

from gpuzarr.batch import ChunkSpec
from gpuzarr.chain import Chain
from gpuzarr.codecs import find
from gpuzarr.devices import cost
from gpuzarr.devices.cost import Costs, Rate
from gpuzarr.errors import CodecError
from gpuzarr.expected import expected
from tests.codecs.test_gpu_codecs import decode, plain

H200 = Costs(cores=16)
MIB = 1 << 20


def sizes(count, nbytes):
    return np.full(count, nbytes)


@pytest.mark.parametrize(
    "algorithm, count, nbytes, place",
    [
        ("zstd", 1, 16 * MIB, "the host"),
        ("zstd", 4, 64 * MIB, "the host"),
        ("lz4", 1, 1000, "the host"),
        ("zstd", 16000, MIB // 16, "the GPU"),
        ("gzip", 16000, MIB // 16, "the GPU"),
        ("lz4", 4000, MIB // 4, "the GPU"),
    ],
)
def test_the_clear_cases(algorithm, count, nbytes, place):
    decision = H200.decide(algorithm, sizes(count, nbytes))
    near = {"the host": count, "the GPU": 0}[place]
    assert abs(len(decision.host) - near) <= count * 0.35
    assert decision.seconds <= 1.0001 * min(decision.seconds_gpu, decision.seconds_host)


def test_never_worse_than_either_alone():
    rng = np.random.default_rng(1)
    for _ in range(200):
        costs = Costs(
            {"a": Rate(*10 ** rng.uniform(7, 11, 3))}, 10 ** rng.uniform(8, 11), cores=int(rng.integers(1, 65))
        )
        largest = rng.integers(1, 1 << 24, int(rng.integers(1, 200)))
        decision = costs.decide("a", largest * rng.integers(1, 9), largest)
        assert decision.seconds <= min(decision.seconds_gpu, decision.seconds_host)
        kept_by_gpu = np.setdiff1d(np.arange(len(largest)), decision.host)
        if len(decision.host) and len(kept_by_gpu):
            assert largest[decision.host].min() >= largest[kept_by_gpu].max()


def test_a_part_goes_to_the_host_where_that_wins():
    decision = Costs({"a": Rate(1e9, 10e9, 1e9)}, 1e12, 1e-9, cores=10).decide("a", sizes(1000, MIB))
    assert len(decision.host) == pytest.approx(500, rel=0.05)
    assert decision.text.startswith("a: 1000 chunks on both (5") or decision.text.startswith(
        "a: 1000 chunks on both (4"
    )
    assert decision.seconds < 0.6 * decision.seconds_gpu


def test_nothing_to_decide():
    assert len(Costs(where="gpu").decide("zstd", sizes(3, 10)).host) == 0
    everything = Costs(where="host").decide("zstd", sizes(3, 10))
    assert everything.host.tolist() == [0, 1, 2] and everything.text == "zstd: 3 chunks on the host, as was asked for"
    assert len(Costs().decide("zstd", sizes(0, 1)).host) == 0


HALF = Costs(dict.fromkeys(cost.RATES, Rate(1e12, 1e9, 1e9)), 1e15, 1e-12, cores=1)


@pytest.mark.damaging
@pytest.mark.parametrize("costs", [Costs(where="gpu"), Costs(where="host"), HALF, Costs()])
@pytest.mark.parametrize("name", ["zstd", "lz4", "zlib", "gzip", "blosc lz4", "blosc zstd", "blosc zlib"])
def test_values_do_not_depend_on_it(gpu, monkeypatch, costs, name):
    kind, _, cname = name.partition(" ")
    encoder = numcodecs.get_codec({"id": kind, **({"cname": cname} if cname else {})})
    codec = find(kind, {"cname": cname} if cname else {}, 2)
    plains = [plain(20_000, "mixed") for _ in range(7)]
    chunks = [bytes(encoder.encode(np.frombuffer(p, "<f4"))) for p in plains]
    monkeypatch.setattr(gpu, "cost", costs)
    assert decode(gpu, codec, chunks, 20_000) == plains
    chunks[4] = chunks[4][: len(chunks[4]) // 2]
    with pytest.raises(CodecError) as caught:
        decode(gpu, codec, chunks, 20_000)
    assert caught.value.index == 4
    gpu.checked()


def test_half_is_half(gpu, monkeypatch):
    seen = []
    monkeypatch.setattr(gpu, "cost", HALF)
    monkeypatch.setattr(gpu, "decompress", lambda algorithm, sources, *rest: seen.append(len(sources)))
    chunks = [numcodecs.zstd.compress(plain(20_000, "mixed")) for _ in range(8)]
    decode(gpu, find("zstd", {}, 2), chunks, 20_000)
    assert seen == [4]


def test_what_would_be_decided(gpu, monkeypatch):
    monkeypatch.setattr(gpu, "cost", H200)

    def text(count, nbytes, *codecs):
        spec = ChunkSpec((nbytes,), np.dtype("u1"), 0)
        chain = Chain.build([find("bytes", {}, 3), *(find(name, how, 2) for name, how in codecs)], spec)
        return [decision.text for decision in expected(chain, count, gpu)]

    (few,) = text(2, 64 * MIB, ("zstd", {}), ("crc32c", {}))
    assert few.startswith("zstd: 2 chunks on the host, expected ")
    (many,) = text(10_000, MIB // 16, ("zlib", {}))
    assert many.startswith("deflate: 10000 chunks on ")
    assert text(64, 64 * MIB, ("blosc", {"cname": "lz4hc"}))[0].startswith("lz4: 64 chunks on ")
    assert text(4, MIB, ("blosc", {"cname": "blosclz"})) == text(4, MIB) == text(4, MIB, ("bz2", {})) == []


def test_constants_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cost.kept() == Costs()
    measured = Costs({**cost.RATES, "zstd": Rate(1.0, 2.0, 3.0)}, 4.0, 5.0)
    place = cost.keep(measured)
    assert cost.kept() == measured and place.parent.parent == tmp_path
    for wrong in (
        "",
        "[]",
        "{}",
        json.dumps({"rates": {"zstd": {"stream": 0, "full": 1, "core": 1}}, "bus": 1, "launch": 1}),
    ):
        place.write_text(wrong)
        assert cost.kept() == Costs()


def test_calibration_runs(tmp_path):
    from benchmarks import calibrate
    from tests.conftest import _emulated

    measured = calibrate.measure(_emulated(), stream=4000, many=3, repeats=1)
    assert set(measured.rates) == set(cost.RATES) and measured.rates["zstd"] != cost.RATES["zstd"]
    assert "one core" in calibrate.shown(measured)
    assert cost.loads(cost.keep(measured, tmp_path / "costs.json").read_text()) == measured
