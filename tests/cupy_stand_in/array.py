"""Arrays with the behaviour of `cupy.ndarray`. Sources are files of CuPy's repository, below cupy/."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.emulator.arrays import CUDA, DeviceArray

CHARS = "?bhilqBHILQefdFD"  # dtypes that there are: _core/core.pyx, _send_object_to_gpu; _core/_dtype.pyx
REFUSED = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
)
SCALARS = bool | int | float | complex | np.bool_ | np.number  # _core/_scalar.pyx, scalar_type_set
COMPARISONS = {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"}

# What methods take. The names are those of CuPy, which has no `where`, `initial` or `correction`: _core/core.pyx
METHODS = {
    **dict.fromkeys(("sum", "mean", "prod"), ("axis", "dtype", "out", "keepdims")),
    **dict.fromkeys(("all", "any", "max", "min"), ("axis", "out", "keepdims")),
    **dict.fromkeys(("std", "var"), ("axis", "dtype", "out", "ddof", "keepdims")),
    **dict.fromkeys(("cumsum", "cumprod"), ("axis", "dtype", "out")),
    **dict.fromkeys(("argmax", "argmin"), ("axis", "out", "dtype", "keepdims")),
    **dict.fromkeys(("conj", "conjugate", "nonzero"), ()),
    **dict.fromkeys(("copy", "flatten", "ravel"), ("order",)),
    "argsort": ("axis", "kind"),
    "clip": ("min", "max", "out"),
    "diagonal": ("offset", "axis1", "axis2"),
    "fill": ("value",),
    "repeat": ("repeats", "axis"),
    "round": ("decimals", "out"),
    "searchsorted": ("v", "side", "sorter"),
    "sort": ("axis", "kind"),
    "squeeze": ("axis",),
    "swapaxes": ("axis1", "axis2"),
    "trace": ("offset", "axis1", "axis2", "dtype", "out"),
}


class ndarray:
    """An array of a GPU, as far as anybody can see who has no access to `memory`.

    It has no `__array_namespace__`, `__array_interface__`, `__index__` and `__contains__`, as CuPy 14.2 has none.
    """

    __slots__ = ("__weakref__", "memory")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = np.asarray(memory)
        if self.memory.dtype.char not in CHARS or not self.memory.dtype.isnative:
            raise ValueError(f"Unsupported dtype {self.memory.dtype}")

    # ---- What it is ----

    shape = property(lambda self: self.memory.shape)
    strides = property(lambda self: self.memory.strides)
    dtype = property(lambda self: self.memory.dtype)
    ndim = property(lambda self: self.memory.ndim)
    size = property(lambda self: self.memory.size)
    itemsize = property(lambda self: self.memory.itemsize)
    nbytes = property(lambda self: self.memory.nbytes)
    device = property(lambda self: SimpleNamespace(id=0))
    T = property(lambda self: made(self.memory.T))
    real = property(lambda self: made(self.memory.real))
    imag = property(lambda self: made(self.memory.imag))

    @property
    def flags(self) -> SimpleNamespace:
        """Without `writeable`: arrays of a GPU always are. _core/flags.pyx"""
        flags = self.memory.flags
        return SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous, owndata=flags.owndata)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        described = {"shape": self.shape, "typestr": self.dtype.str, "version": 3, "strides": self.strides}
        return described | {"data": (self.memory.ctypes.data, False), "stream": 1}

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, 0

    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError("NumPy has no memory of a GPU; the emulated device takes `memory`")

    # ---- To the host, and only if told to: _core/core.pyx, get, __int__, item, __repr__, __reduce__ ----

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        host = np.array(self.memory, order=order, copy=True)
        if out is None:
            return host
        if type(out) is not np.ndarray or out.dtype != self.dtype or out.shape != self.shape:
            raise TypeError("`out` is no such array")
        out[...] = host
        return out

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(REFUSED)

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous.")
        return bool(self.memory)

    def __int__(self) -> int:
        return int(self.memory)

    def __float__(self) -> float:
        return float(self.memory)

    def __complex__(self) -> complex:
        return complex(self.memory)

    def __repr__(self) -> str:
        return repr(self.memory)

    def __str__(self) -> str:
        return str(self.memory)

    def __format__(self, spec: str) -> str:
        return format(self.memory, spec)

    def item(self) -> Any:
        return self.memory.item()

    def tolist(self) -> Any:
        return self.memory.tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self.memory.tobytes(order)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.get(),)

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        return self.copy()

    # ---- Other arrays of it ----

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True) -> Any:
        """Without `casting` and `subok`: TypeError. _core/core.pyx, astype"""
        if casting is not None or subok is not None:
            raise TypeError(f"{'casting' if casting is not None else 'subok'} is not supported yet")
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        if np.dtype(dtype).char not in CHARS or not np.dtype(dtype).isnative:
            raise ValueError(f"Unsupported dtype {np.dtype(dtype)}")
        with np.errstate(all="ignore"):
            return made(self.memory.astype(dtype, order=order))

    def view(self, dtype: Any = None, type: Any = None) -> Any:
        return made(self.memory.view() if dtype is None else self.memory.view(dtype))

    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> Any:
        return made(self.memory.reshape(*shape, order=order))

    def transpose(self, *axes: Any) -> Any:
        return made(self.memory.transpose(*axes))

    def take(self, indices: Any, axis: Any = None, out: Any = None) -> Any:
        """By arrays of NumPy and lists, too. _core/_routines_indexing.pyx, _take"""
        return made(self.memory.take(as_index(indices), axis=axis, out=host_memory(out)))

    def dot(self, other: Any, out: Any = None) -> Any:
        return run(self.memory.dot, (other,), {"out": out})

    # ---- Elements: _core/_routines_indexing.pyx ----

    def __len__(self) -> int:
        return len(self.memory)

    def __iter__(self) -> Any:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[row] for row in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        """What indexing by ints gives is an array, too, and a view."""
        return made(self.memory[as_key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        """From arrays of NumPy only behind arrays that index, or where they are of one element: _scatter_op, fill."""
        where = as_key(key)
        is_filled = not any(isinstance(part, np.ndarray) for part in where)
        if is_filled and isinstance(value, np.ndarray | list) and np.ndim(value):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        self.memory[where] = value.memory if isinstance(value, ndarray) else value

    # ---- Functions of NumPy: _core/core.pyx, __array_ufunc__, __array_function__ ----

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        from tests.cupy_stand_in.functions import LACKING

        if ufunc.__name__ in LACKING or method == "at":
            return NotImplemented
        given = (*inputs, *options.get("out", ()))
        if not all(isinstance(each, ndarray | np.ndarray | SCALARS) for each in given):
            return NotImplemented
        if ufunc.__name__ in COMPARISONS:  # a workaround of CuPy for arrays of NumPy without axes
            inputs = tuple(x.item() if isinstance(x, np.ndarray) and not x.ndim else x for x in inputs)
        if unknown := options.keys() - {"out", "dtype", "casting", "axis", "keepdims"}:
            raise TypeError(f"Wrong arguments {unknown}")
        result = run(getattr(ufunc, method), inputs, options)
        return options["out"][0] if "out" in options else result

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        from tests.cupy_stand_in.functions import found

        if (own := found(function)) is None or any(not issubclass(each, ndarray | np.ndarray) for each in types):
            return NotImplemented
        return own(*args, **options)


def made(memory: Any) -> Any:
    """An array of what NumPy returned: also of an element, which CuPy leaves where it is."""
    return ndarray(memory)


def _rebuilt(host: np.ndarray) -> ndarray:
    """An array that was pickled."""
    return ndarray(host)


def as_key(key: Any) -> tuple[Any, ...]:
    """A key for NumPy that gives views, also of elements. Arrays of NumPy are copied."""
    parts = tuple(as_index(part) for part in (key if isinstance(key, tuple) else (key,)))
    return parts if any(part is Ellipsis for part in parts) else (*parts, Ellipsis)


def as_index(part: Any) -> Any:
    """A part of a key. Arrays are of integers or bools."""
    if isinstance(part, list):
        part = np.asarray(part, None if part else np.int32)
    part = part.memory if isinstance(part, ndarray) else part
    if isinstance(part, np.ndarray) and part.dtype.kind not in "iub":
        raise IndexError(f"arrays used as indices must be of integer or boolean type. (actual: {part.dtype.type})")
    return part


def host_memory(value: Any) -> Any:
    """NumPy's arrays of the arrays in a value. TypeError for arrays of NumPy: _core/_kernel.pyx, _preprocess_args"""
    if isinstance(value, ndarray):
        return value.memory
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, list | tuple):
        return type(value)([host_memory(each) for each in value])
    return value


def run(function: Any, args: Any, options: Any) -> Any:
    """Call a function of NumPy with these arrays. What it returns are arrays, too: none become scalars."""
    with np.errstate(all="ignore"):  # GPUs say nothing of divisions by zero
        return wrapped(
            function(*host_memory(tuple(args)), **{name: host_memory(each) for name, each in options.items()})
        )


def wrapped(value: Any) -> Any:
    """Arrays of NumPy and its scalars as arrays of the stand-in, also in lists and tuples."""
    if isinstance(value, np.ndarray | np.generic):
        return made(value)
    return type(value)([wrapped(each) for each in value]) if type(value) in (list, tuple) else value


def _method(name: str, takes: tuple[str, ...]) -> Any:
    def method(self: ndarray, *args: Any, **options: Any) -> Any:
        if len(args) > len(takes) or (unknown := options.keys() - set(takes)):
            raise TypeError(f"{name}() got unexpected arguments {args[len(takes) :]} {unknown}")
        return run(getattr(self.memory, name), args, options)

    return method


for _name, _takes in METHODS.items():
    setattr(ndarray, _name, _method(_name, _takes))


def _operator(ufunc: np.ufunc, reflected: bool) -> Any:
    def operator(self: ndarray, other: Any) -> Any:
        """By the ufunc, unless the other side says that it is for it: _core/core.pyx, _should_use_rop"""
        if getattr(other, "__array_ufunc__", self) is None:
            return NotImplemented
        if other is None and ufunc in (np.equal, np.not_equal):  # no element is None
            return made(np.full(self.shape, ufunc is np.not_equal))
        return ufunc(other, self) if reflected else ufunc(self, other)

    return operator


def _in_place(ufunc: np.ufunc) -> Any:
    def operator(self: ndarray, other: Any) -> ndarray:
        ufunc(self, other, out=self)
        return self

    return operator


_OPERATORS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "mod": np.remainder}
_OPERATORS |= {"floordiv": np.floor_divide, "pow": np.power, "and": np.bitwise_and, "or": np.bitwise_or}
_OPERATORS |= {"xor": np.bitwise_xor, "lshift": np.left_shift, "rshift": np.right_shift, "divmod": np.divmod}
_COMPARED = {"lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal}
_COMPARED |= {"gt": np.greater, "ge": np.greater_equal, "matmul": np.matmul}
_UNARY = {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}

for _name, _ufunc in (_OPERATORS | _COMPARED).items():
    setattr(ndarray, f"__{_name}__", _operator(_ufunc, False))
for _name, _ufunc in _OPERATORS.items():
    setattr(ndarray, f"__r{_name}__", _operator(_ufunc, True))
    setattr(ndarray, f"__i{_name}__", _in_place(_ufunc))
for _name, _ufunc in _UNARY.items():
    setattr(ndarray, f"__{_name}__", lambda self, ufunc=_ufunc: ufunc(self))

ndarray.__module__ = "cupy"  # by which dask knows it


def of_device(memory: DeviceArray) -> ndarray:
    """What a user sees of memory of the emulated device, without a copy."""
    return ndarray(memory.view(np.ndarray))
