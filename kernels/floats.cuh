// Sums and differences of floating-point numbers, given by their bits, as NumPy makes them on x86: rounded to nearest,
// even, never fused. A NaN that goes in comes out, quiet, the first of two; what is no number for another reason is the
// NaN of x86, whose sign is set.
#pragma once
#include "numbers.cuh"

__device__ __forceinline__ u32 added(u32 a, u32 b)
{
    return __float_as_uint(__fadd_rn(__uint_as_float(a), __uint_as_float(b)));
}

__device__ __forceinline__ u64 added(u64 a, u64 b)
{
    return (u64)__double_as_longlong(__dadd_rn(__longlong_as_double((i64)a), __longlong_as_double((i64)b)));
}

// NumPy adds float16 as float, then rounds.
__device__ __forceinline__ u16 added(u16 a, u16 b)
{
    return (u16)half_bits(__fadd_rn(half_value(a), half_value(b)));
}

template <class T> struct Bits;  // of a number: the sign, those of infinity, and the one that makes a NaN quiet
template <> struct Bits<u16> { static const u16 SIGN = 0x8000, INFINITE = 0x7c00, QUIET = 0x200; };
template <> struct Bits<u32> { static const u32 SIGN = 0x80000000, INFINITE = 0x7f800000, QUIET = 0x400000; };
template <> struct Bits<u64> {
    static const u64 SIGN = 0x8000000000000000, INFINITE = 0x7ff0000000000000, QUIET = 0x8000000000000;
};

template <class T> __device__ __forceinline__ bool is_nan(T a)
{
    return (T)(a & (T)~Bits<T>::SIGN) > Bits<T>::INFINITE;
}

// a + b.
template <class T> __device__ __forceinline__ T sum_of(T a, T b)
{
    if (is_nan(a)) return (T)(a | Bits<T>::QUIET);
    if (is_nan(b)) return (T)(b | Bits<T>::QUIET);
    T sum = added(a, b);
    return is_nan(sum) ? (T)(Bits<T>::SIGN | Bits<T>::INFINITE | Bits<T>::QUIET) : sum;
}

// a - b.
template <class T> __device__ __forceinline__ T difference_of(T a, T b)
{
    return sum_of(a, is_nan(b) ? b : (T)(b ^ Bits<T>::SIGN));
}

// The same number of another size.
template <class T, class F> __device__ __forceinline__ T converted(F a) { return (T)a; }

template <> __device__ __forceinline__ u64 converted<u64, u32>(u32 a)
{
    if (is_nan(a)) return (u64)(a & Bits<u32>::SIGN) << 32 | Bits<u64>::INFINITE | Bits<u64>::QUIET | (u64)(a & 0x7fffff) << 29;
    return (u64)__double_as_longlong((double)__uint_as_float(a));
}

template <> __device__ __forceinline__ u32 converted<u32, u64>(u64 a)
{
    if (is_nan(a)) return (u32)(a >> 32) & Bits<u32>::SIGN | Bits<u32>::INFINITE | Bits<u32>::QUIET | (u32)(a >> 29 & 0x7fffff);
    return __float_as_uint((float)__longlong_as_double((i64)a));
}
