"""earth2studio on top of gpuzarr: a Zarr store as an `io` for its workflows, which needs no GPU, and no zarr-python.

Examples
--------
>>> io = gpuzarr.earth2studio.ZarrBackend()
>>> io.write(np.ones((1, 2), "float32"), {"time": np.array(["2026-01-01"], "M8[h]"), "x": np.arange(2)}, "t2m")
>>> io["t2m"].dimension_names
('time', 'x')
"""

from __future__ import annotations

from gpuzarr.integrations.earth2studio.backend import ZarrBackend

__all__ = ["ZarrBackend"]
