"""What `check` finds: findings, a census of each array, and what was repaired."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from gpuzarr.tools.census import ArrayCensus

Severity = Literal["error", "warning", "note"]
MAX_FINDINGS = 10_000  # that a report keeps; others are only counted


@dataclass(frozen=True)
class Finding:
    """Something about a store that somebody should know.

    Attributes
    ----------
    severity
        "error": values cannot be read, or are wrong; "warning": all values can be read, but the store is not as it
        should be; "note": worth knowing.
    kind
        What it is, as a word for programs: "damaged-chunk", "shard-index", "unreadable", "metadata", "ome",
        "misplaced", "consolidated", "both-versions", "missing-group", "outside-grid", "stray-object",
        "node-in-array", "partial-file", "empty-object", "not-checked", "unknown-member", "spelling".
    path
        The path of the array or the group, "" for the root.
    message
        A sentence for people.
    key, chunk, codec
        The key of an object of the store, the coordinates of a chunk, and the name of the codec that refused it, where
        it is about these.
    count
        How many there are of it: the message, key and chunk are those of the first.
    repair
        How `check` can repair it: "remove-partial", "consolidate", or, where that loses what is damaged for good,
        "delete-chunk", "fill-chunk", "delete-shard"; None if it cannot.
    """

    severity: Severity
    kind: str
    path: str
    message: str
    key: str | None = None
    chunk: tuple[int, ...] | None = None
    codec: str | None = None
    count: int = 1
    repair: str | None = None

    def __str__(self) -> str:
        where = [f"chunk {self.chunk}" if self.chunk is not None else "", f"key {self.key!r}" if self.key else ""]
        where += [f"codec {self.codec}" if self.codec else "", f"and {self.count - 1:,} more" if self.count > 1 else ""]
        inside = ", ".join(part for part in where if part)
        return f"{self.severity}: /{self.path}: {self.message}" + (f" ({inside})" if inside else "")


@dataclass(frozen=True)
class Repair:
    """What was done about a finding, or would be.

    Attributes
    ----------
    path, key
        The node, and the object or file.
    action
        A sentence that says what was done.
    is_done
        False for a dry run, and where it failed.
    problem
        Why it failed; "" if it did not.
    """

    path: str
    key: str
    action: str
    is_done: bool
    problem: str = ""

    def __str__(self) -> str:
        if self.problem:
            return f"not repaired: {self.action}: {self.problem}"
        return f"{'repaired' if self.is_done else 'would repair'}: {self.action}"


@dataclass
class Report:
    """The result of `check`.

    `bool(report)` is True if there are problems: errors or warnings, but not notes.

    Attributes
    ----------
    findings
        What was found, at most 10,000 findings; `more` counts the others.
    arrays
        A census of each array.
    repairs
        What was repaired, or would be.
    groups
        The number of groups.
    device
        Where chunks were decoded; None if they were not.
    """

    findings: list[Finding] = field(default_factory=list)
    arrays: list[ArrayCensus] = field(default_factory=list)
    repairs: list[Repair] = field(default_factory=list)
    groups: int = 0
    more: int = 0
    device: str | None = None

    def __bool__(self) -> bool:
        return self.more > 0 or any(finding.severity != "note" for finding in self.findings)

    def counts(self) -> dict[str, int]:
        """How many findings there are of each severity."""
        found = dict.fromkeys(("error", "warning", "note"), 0)
        for finding in self.findings:
            found[finding.severity] += finding.count
        return found

    def asdict(self) -> dict[str, Any]:
        """The report as a dict of plain values."""
        return {"problems": bool(self), **asdict(self)}


@dataclass
class Notes:
    """Where findings go while a check is under way: into the report, and to whoever wants to hear of them at once."""

    report: Report
    tell: Callable[[Finding], Any] | None = None

    def __call__(self, finding: Finding) -> None:
        if len(self.report.findings) < MAX_FINDINGS:
            self.report.findings.append(finding)
            if self.tell is not None:
                self.tell(finding)
        else:
            self.report.more += 1
