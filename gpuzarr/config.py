"""Settings of the process, with the names of `zarr.config`: defaults for what is made and written.

No setting changes what a read returns. `set` takes those that have a meaning here; warns of those that only tune
zarr-python, and says what to use instead; and refuses those that ask for what is not supported. Each thread sees the
same settings; a change is seen by what is opened or made after it.

Examples
--------
>>> with gpuzarr.config.set({"default_zarr_format": 2}):
...     gpuzarr.zeros(3).zarr_format
2
>>> gpuzarr.config.get("default_zarr_format")
3
"""

from __future__ import annotations

import threading
from typing import Any

from gpuzarr.checks import shown, zarr_format
from gpuzarr.errors import ConfigError, GpuZarrWarning, UnsupportedError, warn
from gpuzarr.per_process import PerProcess

Json = dict[str, Any]
_NO_DEFAULT: Any = type("NoDefault", (), {"__repr__": lambda self: "<no default>"})()
_CHOICES: dict[str, tuple[Any, ...]] = {
    "default_zarr_format": (3, 2),  # the default is the first
    "array.order": ("C", "F"),
    "array.write_empty_chunks": (False, True),
    "array.rectilinear_chunks": (True, False),
    "array.read_missing_chunks": (True,),
    "array.allow_unsafe_pickle_decode": (False,),
    "buffer": ("zarr.buffer.cpu.Buffer",),
    "ndbuffer": ("zarr.buffer.cpu.NDBuffer",),
}
_THREADS = "nothing is needed: each core decodes, and a store reads as many objects at once as it can"
_CODECS = "codecs of other packages are found by the entry point group 'gpuzarr.codecs'"
_COALESCE = "gpuzarr.LocalStore(path, coalesce_gap=, coalesce_size=) says it for a store"
_TUNING: dict[str, tuple[Any, str]] = {  # zarr-python's default, and what to use here
    "array.sharding_coalesce_max_gap_bytes": (1 << 20, _COALESCE),
    "array.sharding_coalesce_max_bytes": (16 << 20, _COALESCE),
    "async.concurrency": (10, _THREADS),
    "async.timeout": (None, "nothing is asynchronous here"),
    "threading.max_workers": (None, _THREADS),
    "codec_pipeline.path": ("gpuzarr", "there is one pipeline; memory_limit= of an array bounds its batches"),
    "codec_pipeline.batch_size": (1, "memory_limit= of an array bounds its batches"),
    "codec_pipeline.max_workers": (None, _THREADS),
    "json_indent": (2, "documents are indented by two"),
}
_ADVICE = {
    "array.read_missing_chunks": "a missing chunk is the fill value; a.nchunks_initialized counts those that are there",
    "array.allow_unsafe_pickle_decode": "data of codec 'pickle' runs code when it is read: use zarr-python for it",
    "buffer": 'the device says where results are: gpuzarr.open(..., device="cuda"), or "cpu"',
    "ndbuffer": 'the device says where results are: gpuzarr.open(..., device="cuda"), or "cpu"',
}
_lock = PerProcess(threading.Lock)
_DEFAULTS = {name: values[0] for name, values in _CHOICES.items()} | {"array.target_shard_size_bytes": None}
_DEFAULTS |= {name: default for name, (default, _) in _TUNING.items()}
_values: Json = dict(_DEFAULTS)  # never changed, but replaced


def get(key: str, default: Any = _NO_DEFAULT) -> Any:
    """The value of a setting; a dict for the first part of several names, such as "array".

    ConfigError for an unknown name, unless there is a default.
    """
    if key in _values:
        return _values[key]
    if key == "codecs":  # none of these classes is chosen here
        default = {} if default is _NO_DEFAULT else default
    below = {name[len(key) + 1 :]: value for name, value in _values.items() if name.startswith(f"{key}.")}
    if not below and default is _NO_DEFAULT:
        raise ConfigError(f"there is no setting {shown(key)}; there are {', '.join(_values)}")
    return _nested(below) if below else default


class set:  # as zarr.config.set
    """Change settings: at once, and until the end of a `with` block if there is one.

    Parameters
    ----------
    arg
        A dict of names to values; it may have dicts within.
    **options
        Settings as keywords, with "__" in the place of ".".
    """

    def __init__(self, arg: Json | None = None, **options: Any) -> None:
        given = _flat(arg or {}) | {name.replace("__", "."): value for name, value in options.items()}
        for name, value in given.items():
            _check(name, value)
        if idle := [f"{name!r} ({_idle(name)})" for name, value in given.items() if _is_idle(name, value)]:
            warn(f"settings that change nothing here: {'; '.join(idle)}", GpuZarrWarning)
        with _lock.value:
            self._before = {name: _values.get(name, _NO_DEFAULT) for name in given}
            _replace(given)

    def __enter__(self) -> Json:
        return to_dict()

    def __exit__(self, *_: object) -> None:
        with _lock.value:
            _replace(self._before)


def update(new: Json) -> None:
    """Change settings, as `set` does."""
    set(new)


def reset() -> None:
    """Make all settings what they were at the beginning."""
    with _lock.value:
        globals()["_values"] = dict(_DEFAULTS)


refresh = reset


def to_dict() -> Json:
    """All settings, as a dict of dicts."""
    return _nested(_values)


def pprint(**options: Any) -> None:
    """Print all settings; the options are those of `pprint.pprint`."""
    from pprint import pprint as write

    write(to_dict(), **options)


def new_format(given: Any) -> Any:
    """The version of Zarr of what is made: the one that is given, or the default if that is None."""
    return zarr_format(given) or get("default_zarr_format")


def enable_gpu() -> None:
    """Raise UnsupportedError: a device is an argument here, and by default a GPU if there is one."""
    raise UnsupportedError(f"nothing enables a GPU for all arrays: {_ADVICE['buffer']}; the default is a GPU if any")


def _check(name: str, value: Any) -> None:
    """Raise an error for an unknown setting, or a value that it cannot have."""
    if name in _CHOICES:
        if any(type(value) is type(choice) and value == choice for choice in _CHOICES[name]):
            return
        if name in _ADVICE:
            raise UnsupportedError(f"the setting {name!r} cannot be {shown(value)}: {_ADVICE[name]}")
        raise ConfigError(f"the setting {name!r} is one of {_CHOICES[name]}, not {shown(value)}")
    if name == "array.target_shard_size_bytes":
        if value is not None and (type(value) is not int or value < 1):
            raise ConfigError(f"the setting {name!r} is a number of bytes or None, not {shown(value)}")
    elif name not in _TUNING and not name.startswith("codecs."):
        raise ConfigError(f"there is no setting {shown(name)}; there are {', '.join(_values)}")


def _is_idle(name: str, value: Any) -> bool:
    return name.startswith("codecs.") or (name in _TUNING and value != _TUNING[name][0])


def _idle(name: str) -> str:
    return _CODECS if name.startswith("codecs.") else _TUNING[name][1]


def _replace(new: Json) -> None:
    changed = {name: value for name, value in (_values | new).items() if value is not _NO_DEFAULT}
    globals()["_values"] = changed


def _flat(given: Json, prefix: str = "") -> Json:
    """Settings by their full names. ConfigError for what is no dict of texts."""
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        raise ConfigError(f"settings are a dict from names to values, not {shown(given)}")
    found: Json = {}
    for name, value in given.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def _nested(settings: Json) -> Json:
    found: Json = {}
    for name, value in settings.items():
        *above, last = name.split(".")
        inner = found
        for part in above:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return found


defaults = [_nested(_DEFAULTS)]
