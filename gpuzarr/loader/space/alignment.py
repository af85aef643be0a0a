"""Where elements of arrays of different size begin together, along an axis. Exact arithmetic of fractions.

Lengths are in elements of the first array: an element of it has the size 1, and its first one begins at 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from numbers import Rational, Real
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError

MAX_DENOMINATOR = 10**6  # of the ratio of two sizes; floats are taken for the nearest such fraction


@dataclass(frozen=True)
class Scale:
    """Elements of an array along an axis: the one with index i begins at `shift + i * size`."""

    size: Fraction = Fraction(1)
    shift: Fraction = Fraction(0)

    @property
    def is_one(self) -> bool:
        """Whether elements are those of the first array."""
        return self.size == 1 and self.shift == 0

    def stop(self, length: int) -> Fraction:
        """Where an array of this length ends."""
        return self.shift + length * self.size

    def index(self, place: int) -> Fraction:
        """The index of the element that begins at a place; no whole number where none does."""
        return (place - self.shift) / self.size


@dataclass(frozen=True)
class Lattice:
    """The places where elements of all arrays begin: `phase + k * step`, with 0 <= phase < step."""

    phase: int = 0
    step: int = 1

    def up(self, place: int) -> int:
        """The first of them from a place on."""
        return place + (self.phase - place) % self.step

    def down(self, place: int) -> int:
        """The last of them up to a place."""
        return place - (place - self.phase) % self.step


def lattice(scales: Iterable[Scale]) -> Lattice | None:
    """The integers at which elements of all arrays begin; None if there are none."""
    phase, step = 0, 1
    for scale in scales:
        unit = lcm(scale.size.denominator, scale.shift.denominator)
        size, shift = int(scale.size * unit), int(scale.shift * unit)
        common = gcd(step * unit, size)
        if (shift - phase * unit) % common:
            return None
        other = size // common
        times = (shift - phase * unit) // common * pow(step * unit // common, -1, other) % other if other > 1 else 0
        phase, step = phase + times * step, step * other
    return Lattice(phase % step, step)


def ratio(value: Any, unit: Any, name: str) -> Fraction:
    """The quotient of two numbers, of which floats are rounded numbers. ArgumentError for what is none."""
    try:
        return (exact(value, name) / exact(unit, name)).limit_denominator(MAX_DENOMINATOR)
    except ZeroDivisionError as error:
        raise ArgumentError(f"{name} must be above 0, not {shown(unit)}") from error


def exact(value: Any, name: str) -> Fraction:
    """The number that is given. ArgumentError for what is none, or not finite."""
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            if isinstance(value, Rational):
                return Fraction(int(value.numerator), int(value.denominator))
            return Fraction(repr(float(value)))  # 0.1 is a tenth
        except (ValueError, OverflowError):
            pass
    raise ArgumentError(f"{name} must be a finite number, not {shown(value)}")
