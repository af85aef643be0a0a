"""What the cost model decides, and that values do not depend on it."""

from __future__ import annotations

import json
from dataclasses import replace

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.codecs import find
from gpuzarr.devices import cost
from gpuzarr.devices.algorithm import Algorithm, Rate
from gpuzarr.devices.cost import Costs
from gpuzarr.errors import CodecError
from gpuzarr.gpu.algorithms import ALGORITHMS
from tests.chunks import decode, plain

H200 = Costs(cores=16)
MIB = 1 << 20
A = Algorithm("a", "A", 2**31 - 1, Rate(1.0, 1.0, 1.0))


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
    decision = H200.decide(ALGORITHMS[algorithm], sizes(count, nbytes))
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
        decision = costs.decide(A, largest * rng.integers(1, 9), largest)
        assert decision.seconds <= min(decision.seconds_gpu, decision.seconds_host)
        kept_by_gpu = np.setdiff1d(np.arange(len(largest)), decision.host)
        if len(decision.host) and len(kept_by_gpu):
            assert largest[decision.host].min() >= largest[kept_by_gpu].max()


@pytest.mark.parametrize(
    "algorithm, count, nbytes, batches, place",
    [
        ("zstd", 2048, MIB // 4, 1, "the GPU"),
        ("zstd", 512, MIB, 1, "the GPU"),
        ("zstd", 32, 16 * MIB, 1, "the host"),
        ("lz4", 512, MIB, 1, "the GPU"),
        ("zstd", 2048, MIB // 4, 2, "the GPU"),
        ("zstd", 512, MIB, 2, "the GPU"),
        ("lz4", 512, MIB, 2, "the GPU"),
    ],
)
def test_half_a_gibibyte_with_guessed_rates(algorithm, count, nbytes, batches, place):
    """On 16 cores. In one batch, and in two that follow each other."""
    decision = H200.decide(ALGORITHMS[algorithm], sizes(count // batches, nbytes))
    assert len(decision.host) == {"the host": count, "the GPU": 0}[place] and decision.because == "guessed"


def test_guesses_must_be_clear():
    """For a gain of 1.5 the host gets chunks by measured rates, and none by guessed ones; for one of 3 by both."""
    for slower, measured, guessed in ((1.5, 4, 0), (3.0, 4, 4)):
        rate = Rate(1e9 / slower, 1e15, 1e9)
        known = Costs({"a": rate}, 1e15, 1e-12, cores=4).decide(A, sizes(4, MIB))
        assumed = Costs({}, 1e15, 1e-12, cores=4).decide(replace(A, rate=rate), sizes(4, MIB))
        assert (len(known.host), known.because) == (measured, "measured")
        assert (len(assumed.host), assumed.because) == (guessed, "guessed")
        assert known.seconds_gpu == assumed.seconds_gpu and known.seconds_host == assumed.seconds_host


def test_batches_at_once_share_the_time_of_their_largest_streams():
    """A GPU bound by the latency of its streams is as many times as fast; one that is full is no faster."""
    bound, full = Rate(1e8, 1e15, 1e9), Rate(1e15, 1e9, 1e9)
    for rate, gain in ((bound, 4), (full, 1)):
        costs = Costs({"a": rate}, 1e15, 1e-12, cores=4)
        alone, beside = (costs.decide(A, sizes(100, MIB), concurrent=count) for count in (1, 4))
        assert alone.seconds_gpu / beside.seconds_gpu == pytest.approx(gain, rel=1e-3)
        assert alone.seconds_host == beside.seconds_host
    zstd = [H200.decide(ALGORITHMS["zstd"], sizes(168, MIB), concurrent=count) for count in (1, 2)]
    assert [len(decision.host) for decision in zstd] == [168, 0]


def test_a_read_knows_how_many_batches_overlap(gpu, monkeypatch, tmp_path):
    """As many as are decoded at once, but no more than it has."""
    seen, decide = set(), Costs.decide

    def decided(self, *arguments):
        seen.update(arguments[5:])  # planning gives none
        return decide(self, *arguments)

    monkeypatch.setattr(gpu, "concurrent_batches", 3)
    monkeypatch.setattr(gpu, "batch_bytes", 16 << 10)
    monkeypatch.setattr(gpu, "cost", Costs({"zstd": Rate(1.0, 1.0, 1.0)}, where="gpu"))  # one stream fills this GPU
    monkeypatch.setattr(Costs, "decide", decided)
    data = np.random.default_rng(0).normal(size=1 << 16).astype("f4")
    gpuzarr.create_array(tmp_path / "a", data=data, device="cpu", chunks=1 << 12)
    a = gpuzarr.open_array(tmp_path / "a", device=gpu)
    for batches in (1, 2, 3, 16):
        seen.clear()
        a[: batches << 12]
        assert a.last_read.asdict()["batches"] == batches and seen == {min(batches, 3)}


@pytest.mark.parametrize(
    "costs, reason",
    [
        (Costs(cores=4096), "sooner there by guessed rates"),
        (Costs({"zstd": Rate(1.0, 1.0, 1e9)}), "sooner there by measured rates"),
        (Costs(where="host"), "as was asked"),
        (Costs(where="gpu"), "unusual"),
    ],
)
def test_reports_say_why_the_host_decoded(gpu, monkeypatch, tmp_path, costs, reason):
    monkeypatch.setattr(gpu, "cost", costs)
    codec = {"name": "zstd", "configuration": {"level": 1, "checksum": reason == "unusual"}}
    gpuzarr.create_array(
        tmp_path / "a", data=np.arange(1 << 16, dtype="f4"), device="cpu", chunks=1 << 14, compressors=codec
    )
    a = gpuzarr.open_array(tmp_path / "a", device=gpu)
    a[...]
    report = a.last_read.asdict()
    assert report["host_chunks"] == 4 and report["host_reasons"] == {reason: 4}
    assert f"chunks decoded by the CPU: 4 (4 {reason})" in str(a.last_read)


RATE = st.builds(Rate, *[st.floats(1e6, 1e12)] * 3)
CHUNKS = st.lists(st.tuples(st.integers(1, 1 << 26), st.integers(1, 64), st.integers(1, 4)), min_size=1, max_size=9)


def modelled(costs, chunks, host):
    """Seconds of the model, chunk by chunk: `host` decodes some, the GPU the others at the same time."""
    rate, gpu = costs.rates["a"], 0.0
    theirs = [chunk for chunk, on_host in zip(chunks, host, strict=True) if on_host]
    ours = [chunk for chunk, on_host in zip(chunks, host, strict=True) if not on_host]
    if ours:
        decoded = sum(largest * streams for largest, streams, _ in ours)
        gpu = costs.launch + max(max(largest for largest, _, _ in ours) / rate.stream, decoded / rate.full)
    each = [largest * streams / rate.core for largest, streams, _ in theirs]
    sent = sum(largest * streams * factor for largest, streams, factor in theirs)
    return max(gpu, sum(each) / costs.cores, *each) + sent / costs.bus


@settings(deadline=None)
@given(RATE, CHUNKS, st.floats(1e8, 1e12), st.floats(0, 1e-2), st.integers(1, 64), st.none() | st.floats(0, 1e9))
def test_never_slower_than_the_better_of_the_two(rate, chunks, bus, launch, cores, room):
    """By an independent reckoning of the model, for streams of any number and size, and any machine."""
    costs = Costs({"a": rate}, bus, launch, cores)
    largest, streams, factor = (np.array(column) for column in zip(*chunks, strict=True))
    totals = largest * streams
    decision = costs.decide(A, totals, largest, totals * factor, room)
    host = np.isin(np.arange(len(chunks)), decision.host)
    taken = modelled(costs, chunks, host)
    alone = [modelled(costs, chunks, [where] * len(chunks)) for where in (False, True)]
    assert taken <= 1.1 * min(alone)
    assert [taken, *alone] == pytest.approx([decision.seconds, decision.seconds_gpu, decision.seconds_host])
    assert room is None or host.all() or (totals * factor)[host].sum() <= room


@pytest.mark.parametrize("name", ["zstd", "lz4", "blosc"])
def test_host_and_gpu_decode_at_the_same_time(gpu, monkeypatch, name):
    """The GPU's part is launched before the host begins with its own, and nobody waits between."""
    happened = []
    encoder, codec = numcodecs.get_codec({"id": name}), find(name, {}, 2)
    monkeypatch.setattr(gpu, "cost", HALF)
    right, host_lines = gpu.decompress, type(codec).decode

    def decode_(self, chunks, spec, device, into=None):
        if device is not gpu:
            happened.append("host")
        return host_lines(self, chunks, spec, device, into)

    monkeypatch.setattr(gpu, "decompress", lambda *streams: (happened.append("launched"), right(*streams)))
    monkeypatch.setattr(gpu, "download", lambda data: happened.append("waited"))
    monkeypatch.setattr(type(codec), "decode", decode_)
    chunks = [bytes(encoder.encode(np.frombuffer(plain(20_000, "mixed"), "<f4"))) for _ in range(8)]
    starts = np.arange(8) * 32768
    host = np.zeros(8 * 32768, np.uint8)
    for start, chunk in zip(starts, chunks, strict=True):
        host[start : start + len(chunk)] = np.frombuffer(chunk, np.uint8)
    encoded = EncodedBatch(gpu.upload(host), starts, np.array([len(c) for c in chunks]), host)
    codec.decode(encoded, BytesSpec(20_000), gpu)
    assert happened[0] == "launched" and set(happened) == {"launched", "host"} and happened[-1] == "host"


def test_a_part_goes_to_the_host_where_that_wins():
    decision = Costs({"a": Rate(1e9, 10e9, 1e9)}, 1e12, 1e-9, cores=10).decide(A, sizes(1000, MIB))
    assert len(decision.host) == pytest.approx(500, rel=0.05)
    assert decision.seconds < 0.6 * decision.seconds_gpu


def test_nothing_to_decide():
    assert len(Costs(where="gpu").decide(ALGORITHMS["zstd"], sizes(3, 10)).host) == 0
    everything = Costs(where="host").decide(ALGORITHMS["zstd"], sizes(3, 10))
    assert everything.host.tolist() == [0, 1, 2]
    assert len(Costs().decide(ALGORITHMS["zstd"], sizes(0, 1)).host) == 0


HALF = Costs(dict.fromkeys([*ALGORITHMS, "blosclz"], Rate(1e12, 1e9, 1e9)), 1e15, 1e-12, cores=1)


@pytest.mark.damaging
@pytest.mark.parametrize("costs", [Costs(where="gpu"), Costs(where="host"), HALF, Costs()])
@pytest.mark.parametrize(
    "name", ["zstd", "lz4", "zlib", "gzip", "blosc lz4", "blosc zstd", "blosc zlib", "blosc blosclz"]
)
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


def test_constants_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cost.calibrated() == Costs()
    measured = Costs({"zstd": Rate(1.0, 2.0, 3.0)}, 4.0, 5.0)
    place = cost.save(measured)
    assert cost.calibrated() == measured and place.parent.parent == tmp_path
    for wrong in (
        "",
        "[]",
        "{}",
        json.dumps({"rates": {"zstd": {"stream": 0, "full": 1, "core": 1}}, "bus": 1, "launch": 1}),
    ):
        place.write_text(wrong)
        assert cost.calibrated() == Costs()


def test_calibration_runs(tmp_path):
    from benchmarks.questions import calibrate
    from tests.hardware import emulated

    measured = calibrate.measure(emulated(), stream=4000, many=3, repeats=1)
    assert set(measured.rates) == {*ALGORITHMS, "blosclz"} and measured.rates["zstd"] != ALGORITHMS["zstd"].rate
    assert "one core" in calibrate.shown(measured)
    assert cost.loads(cost.save(measured, tmp_path / "costs.json").read_text()) == measured


def test_calibration_where_constants_are_missing(tmp_path, monkeypatch):
    from benchmarks.questions import calibrate

    measured = Costs({"zstd": Rate(1.0, 2.0, 3.0)}, 4.0, 5.0)
    asked = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(calibrate, "measure", lambda *arguments, **options: asked.append(options) or measured)
    for _ in range(2):
        calibrate.main(["--device", "cpu", "--if-missing"])
    assert len(asked) == 1 and cost.calibrated() == measured
    calibrate.main(["--device", "cpu"])
    assert len(asked) == 2
