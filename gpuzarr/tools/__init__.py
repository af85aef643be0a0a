"""What the command line does, as functions: each returns a report that programs can use.

Importing this loads none of them: each is loaded when its name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuzarr.tools.copying.copying import copy
    from gpuzarr.tools.copying.report import CopiedNode, CopyReport
    from gpuzarr.tools.diff_report import Difference
    from gpuzarr.tools.diff_trees import diff

_MODULES = {
    "copying.copying": ("copy",),
    "copying.report": ("CopiedNode", "CopyReport"),
    "diff_report": ("Difference",),
    "diff_trees": ("diff",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = ["CopiedNode", "CopyReport", "Difference", "copy", "diff"]


def _loaded(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value


if not TYPE_CHECKING:  # type checkers know the names, and tell of others
    __getattr__ = _loaded
