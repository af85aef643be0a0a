"""The steps of a session on a GPU, what each may take, and the sessions that they fit into."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.sessions.suite import PYTEST, TELLING

LEFT = "{seconds}"  # in a command: the seconds that it may measure for
KERNEL_TESTS = (  # what every read needs first: the time may end before the last
    *(f"tests/gpu/test_{name}.py" for name in ("kernels", "place", "planes", "bit_planes", "blosclz", "lists", "cast")),
    *(f"tests/gpu/test_{name}.py" for name in ("kernels_encode", "blosclz_encode", "blocks_encode", "gdeflate")),
    *("tests/pyramids/test_downsample.py", "tests/gpu/test_element_programs.py", "tests/gpu/test_hdf5_chunks.py"),
    *("tests/codecs/test_packbits.py", "tests/codecs/test_delta.py"),
)
SHARED = (  # tests of kernels with shared memory, the only ones in which racecheck looks for races
    *("bitshuffle", "bitunshuffle", "crc32", "adler32", "fletcher32", "jenkins_lookup3", "compacted", "blosc"),
    *("rows_and_tiles", "directions_and_steps", "many_blocks", "comes_round", "any_selection", "test_lists"),
    *("test_cast", "blocks_encode", "gdeflate", "test_delta"),
)
PROBES = {  # seconds that each may take
    "smoke": 60,
    "copies": 50,
    "two_streams": 75,
    "rates": 120,
    "first_use": 60,
    "zstd_features": 50,
    "graph": 30,
    "corrupt": 80,
    "gzip_modes": 60,
    "crc32c": 40,
}
BENCHMARKS = {"gpu_read": 200, "gpu_decode": 85, "gpu_kernels": 50, "gpu_write": 65, "gpu_loader": 60}
TINY = {"gpu_decode": ["--kib", "64"], "gpu_read": ["--rows", "zstd, 256"]}
FIRST_PROBES = ("smoke", "copies", "two_streams")  # what the benchmarks must be read by
SESSIONS = {  # by worth: does it work, how fast is it, what bounds it; and what is wanted where time is left
    "1": ("kernels", "probe-smoke", "probe-copies", "probe-two_streams", "calibrate", "suite", "sanitizer-memcheck"),
    "2": ("kernels", "calibrate", "bench"),
    "3": (
        "kernels",
        "probe-rates",
        "probe-first_use",
        "probe-zstd",
        "probe-graph",
        "probe-corrupt",
    ),
    "4": ("kernels", "images", "probe-gzip_modes", "probe-crc32c", "sanitizer-racecheck"),
}
SESSION_SECONDS = {"1": 540, "2": 530, "3": 390, "4": 300}


@dataclass(frozen=True)
class Step:
    """`command` is empty where something is missing, which `why` names. One that `stretches` also gets what the steps
    before it left."""

    name: str
    command: Sequence[str]
    seconds: float
    why: str = ""
    stretches: bool = False


def measuring(limit: float) -> float:
    """Seconds of a step's `limit` without those to begin, to end what it is at, and to write down what was found."""
    return max(1.0, limit - max(15.0, limit / 8))


def steps(into: Path, device: str = "cuda", tiny: bool = False, kernels: Path | None = None) -> list[Step]:
    """All of them, in their order; `kernels` is a folder of compiled ones."""
    python, how = (sys.executable, "-m"), ("--device", device)
    build = [*python, "benchmarks.sessions.build_kernels", *(["--arch", "sm_90"] if tiny else [])]
    made = [Step("kernels", (*build, *(["--compiled", str(kernels)] if kernels else [])), 25)]
    made += [_probe(name, into, device, tiny) for name in FIRST_PROBES]
    small = ["--tiny", "--output", f"{into}/costs.json"] if tiny else ["--if-missing"]
    made.append(Step("calibrate", (*python, "benchmarks.questions.calibrate", *how, *small), 45))
    for name, seconds in BENCHMARKS.items():
        size = ["--mib", "0.125", "--repeats", "1", *TINY.get(name, [])] if tiny else []
        where = "--seconds", LEFT, "--output", f"{into}/{name}.json"
        command = *python, f"benchmarks.questions.{name}", *how, *where, *size
        made.append(Step(f"bench-{name}", command, seconds, stretches=name == "gpu_read"))
    size = ["--side", "64", "--rows", "image, mean", "--repeats", "1"] if tiny else ["--repeats", "3"]
    images = *python, "benchmarks.questions.write_pyramid", *how, "--seconds", LEFT, "--readers", "gpuzarr cpu"
    made.append(Step("images", (*images, "--output", f"{into}/write_pyramid.json", *size), 75))
    suite = *python, "benchmarks.sessions.suite", "--seconds", LEFT, "--output", f"{into}/suite.json"
    made.append(Step("suite", suite, 180, stretches=True))
    made.append(sanitizer("memcheck", into))
    made += [_probe(name, into, device, tiny) for name in PROBES if name not in FIRST_PROBES]
    made.append(sanitizer("racecheck", into))
    return made


def _probe(name: str, into: Path, device: str, tiny: bool) -> Step:
    how = "--device", device, "--seconds", LEFT, "--output", f"{into}/probe_{name}.json"
    command = sys.executable, "-m", f"benchmarks.probes.{name}", *how, *(["--tiny"] if tiny else [])
    return Step(f"probe-{name}", command, PROBES[name], stretches=name == "corrupt")


def sanitizer(tool: str, into: Path) -> Step:
    """A step with one tool of compute-sanitizer, wherever that is."""
    spec = find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    packaged = [str(path) for folder in folders for path in folder.glob("**/compute-sanitizer") if path.is_file()]
    places = [shutil.which("compute-sanitizer"), shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")]
    found = next((place for place in [*places, *packaged] if place), None)
    if found is None:
        return Step(f"sanitizer-{tool}", (), 0, "compute-sanitizer was not found: it comes with the CUDA toolkit")
    bounds = "env", "GPUZARR_NO_POOL=1", "GPUZARR_EXAMPLES=5"  # an array an allocation, whose bounds the tool knows
    options = "--tool", tool, "--error-exitcode", "9", "--print-limit", "20"
    which = f"cuda and ({' or '.join(SHARED)})" if tool == "racecheck" else "cuda"
    tests = "-vv", *TELLING, f"{into}/sanitizer-{tool}.jsonl", "-k", which, *KERNEL_TESTS
    return Step(f"sanitizer-{tool}", (*bounds, found, *options, *PYTEST, *tests), 100, stretches=True)


def of_session(number: str, every: Sequence[Step]) -> list[Step]:
    """The steps of a session, in its order."""
    return [step for name in SESSIONS[number] for step in every if step.name.startswith(name)]


def chosen_of(every: Sequence[Step], names: str) -> list[Step]:
    """Those that begin with one of the names, which commas part."""
    prefixes = tuple(filter(None, names.split(",")))
    found = [step for step in every if step.name.startswith(prefixes or "")]
    if unknown := [name for name in prefixes if not any(step.name.startswith(name) for step in every)]:
        raise SystemExit(f"no step begins with {unknown}; there are: {', '.join(step.name for step in every)}")
    return found
