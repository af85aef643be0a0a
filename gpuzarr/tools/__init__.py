"""What the command line does, as functions: each returns a report that programs can use.

Importing this loads none of them: each is loaded when its name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpuzarr.tools.bench_report import BenchReport
    from gpuzarr.tools.bench_run import bench
    from gpuzarr.tools.census import ArrayCensus, AxisCensus
    from gpuzarr.tools.check_report import Finding, Repair, Report
    from gpuzarr.tools.check_tree import check
    from gpuzarr.tools.codec_tables import CodecRow, codec_table
    from gpuzarr.tools.copying.copying import copy
    from gpuzarr.tools.copying.report import CopiedNode, CopyReport
    from gpuzarr.tools.diff_report import Difference
    from gpuzarr.tools.diff_trees import diff
    from gpuzarr.tools.doctor_machine import doctor
    from gpuzarr.tools.doctor_report import Diagnosis, Examined
    from gpuzarr.tools.picture_output import save_png
    from gpuzarr.tools.picture_plane import Picture, picture
    from gpuzarr.tools.show_text import values_text

_MODULES = {
    "bench_report": ("BenchReport",),
    "bench_run": ("bench",),
    "census": ("ArrayCensus", "AxisCensus"),
    "check_report": ("Finding", "Repair", "Report"),
    "check_tree": ("check",),
    "codec_tables": ("CodecRow", "codec_table"),
    "copying.copying": ("copy",),
    "copying.report": ("CopiedNode", "CopyReport"),
    "diff_report": ("Difference",),
    "diff_trees": ("diff",),
    "doctor_machine": ("doctor",),
    "doctor_report": ("Diagnosis", "Examined"),
    "picture_output": ("save_png",),
    "picture_plane": ("Picture", "picture"),
    "show_text": ("values_text",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = [
    "ArrayCensus",
    "AxisCensus",
    "BenchReport",
    "CodecRow",
    "CopiedNode",
    "CopyReport",
    "Diagnosis",
    "Difference",
    "Examined",
    "Finding",
    "Picture",
    "Repair",
    "Report",
    "bench",
    "check",
    "codec_table",
    "copy",
    "diff",
    "doctor",
    "picture",
    "save_png",
    "values_text",
]


def _loaded(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    return value


if not TYPE_CHECKING:  # type checkers know the names, and tell of others
    __getattr__ = _loaded
