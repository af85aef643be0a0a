"""A stand-in for CuPy on NumPy's memory, for machines without a GPU: as strict as CuPy where NumPy is not.

It is what users of a GPU hold in their hands. An array that some library (xarray, dask, this one) turns into a NumPy
array by the way raises TypeError, as it does with CuPy, and so does one that meets a NumPy array. `array.py` has the
arrays, `functions.py` the module, `border.py` the emulated device that hands them out.

Each rule is said with its source: the behaviour of CuPy 14.2, looked at where no kernel is needed for that, and for the
rest files of its repository (github.com/cupy/cupy). `test_rules.py` has the rules as tests, which run on CuPy's own
arrays, too, where there is a GPU.
"""
