"""Programs that use each part of zarr-python's API: tables, a file for each part of it.

`zarr` is the library, `S` an empty mapping, `seen` describes what a program made, and `R` is its result. In a program
`z`, `z1`... are arrays and `g`, `g1`... are groups, so that the uses in it can be found without running it.
"""

from tests.api.programs import arrays, creating, groups, parts

PROGRAMS = arrays.PROGRAMS | creating.PROGRAMS | groups.PROGRAMS | parts.PROGRAMS
