"""What a report of a fault should hold, printed."""

from __future__ import annotations

from gpuzarr.tools.doctor_machine import doctor


def print_debug_info() -> None:
    """Print what a report of a fault should hold: what `gpuzarr doctor` finds, a line each.

    Examples
    --------
    >>> gpuzarr.print_debug_info()  # doctest: +ELLIPSIS
    Python: ...
    """
    for one in doctor().examined:
        print(f"{one.name}: {one.text}")
