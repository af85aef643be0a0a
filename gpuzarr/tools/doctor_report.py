"""What `doctor` has examined, and what is wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["ok", "fact", "warning", "problem"]


@dataclass(frozen=True)
class Examined:
    """One thing that was examined.

    Attributes
    ----------
    topic
        What it belongs to: "Python", "packages", "C library", "GPU", "GDS", "trial".
    name
        What was examined.
    status
        "ok": it works; "fact": how it is, good or bad; "warning": something works, but slowly, or not with everything;
        "problem": something is broken.
    text
        What was found.
    mend
        The command that mends it; "" where nothing has to be mended, or no command can.
    """

    topic: str
    name: str
    status: Status
    text: str
    mend: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """The result of `doctor`: what was examined. `bool(diagnosis)` is True if there is a problem."""

    examined: tuple[Examined, ...]

    def __bool__(self) -> bool:
        return any(one.status == "problem" for one in self.examined)

    def of(self, status: Status) -> list[Examined]:
        """What has a status."""
        return [one for one in self.examined if one.status == status]

    def asdict(self) -> dict[str, Any]:
        """The diagnosis as a dict of plain values."""
        return {"problems": bool(self), "examined": [asdict(one) for one in self.examined]}
