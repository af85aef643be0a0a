"""A store that logs what is asked of another one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sized
from dataclasses import dataclass
from functools import partial
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.stores.contract import Store
from gpuzarr.stores.part import PartStore

LOGGER = logging.getLogger("gpuzarr.stores")


@dataclass(frozen=True)
class LoggedStore:
    """Does as a store, and logs each call: the method, what it was called with, and the milliseconds that it took.

    Reads are logged as the `open` of their objects. Parameters are those of zarr-python's class: `log_level` is the
    name of a level, and `log_handler` what takes the records (default: that of the logger "gpuzarr.stores").
    """

    store: Store
    log_level: str = "DEBUG"
    log_handler: logging.Handler | None = None

    def __repr__(self) -> str:
        return f"LoggedStore({self.store!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return LoggedStore, (self.store, self.log_level)  # handlers hold locks

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.store, name)
        return partial(self._called, name, member) if callable(member) and not name.startswith("__") else member

    def below(self, path: str) -> PartStore:
        """The part below a path, which is logged as well."""
        return PartStore(self, path)

    def _called(self, name: str, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return method(*arguments, **options)
        finally:
            said = ", ".join([*map(_short, arguments), *(f"{key}={_short(value)}" for key, value in options.items())])
            self._log(f"{name}({said}) of {self.store!r}: {(time.perf_counter() - begin) * 1e3:.3g} ms")

    def _log(self, text: str) -> None:
        level = logging.getLevelName(self.log_level.upper())
        if self.log_handler is None:
            LOGGER.log(level, text)
        elif level >= self.log_handler.level:
            self.log_handler.handle(LOGGER.makeRecord(LOGGER.name, level, __file__, 0, text, (), None))


def _short(value: Any) -> str:
    """An argument in a few words: large ones, such as the bytes of chunks, by their size."""
    if isinstance(value, str | int | float | type(None)):
        return shown(value)
    return f"<{len(value)} of {type(value).__name__}>" if isinstance(value, Sized) else f"<{type(value).__name__}>"
