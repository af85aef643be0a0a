// Numbers of any kind as words of 64 bits.
//
// A number is in the lowest bits of its word. Arithmetic is that of IEEE 754, rounded to nearest, even: the intrinsics
// are never fused, so the CPU gets the same bits.
#pragma once
#include "common.cuh"

enum { BOOL, UNSIGNED, SIGNED, FLOAT16, BFLOAT16, FLOAT32, FLOAT64 };  // kinds of numbers

// A float16 as a float, exactly.
__device__ __forceinline__ float half_value(u32 h)
{
    u32 sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 0) return __uint_as_float(__float_as_uint((float)fraction * 5.9604644775390625e-8f) | sign);
    return __uint_as_float(sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13);
}

// The float16 that is nearest to a float. Added to 0.5, a small number is rounded to a multiple of the smallest one.
__device__ __forceinline__ u32 half_bits(float x)
{
    u32 bits = __float_as_uint(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return sign | 0x7e00;
    if (size >= 0x477ff000) return sign | 0x7c00;
    if (size < 0x38800000) return sign | (__float_as_uint(__fadd_rn(__uint_as_float(size), 0.5f)) - 0x3f000000);
    return sign | (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
}

// The bfloat16 that is nearest to a float.
__device__ __forceinline__ u32 bfloat_bits(float x)
{
    u32 bits = __float_as_uint(x);
    return (bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// A double as a float that rounds to the same float16: a float whose last bit is set wherever it is not exact.
__device__ __forceinline__ float odd_float(double x)
{
    float near = (float)x;
    double back = (double)near;
    if (back == x || x != x) return near;
    u32 bits = __float_as_uint(near);
    return __uint_as_float((bits - (x < 0 ? back < x : back > x)) | 1);
}

// The word of an element of BYTES bytes as a float or a double.
template <class T, u32 BYTES> __device__ __forceinline__ T value_of(u64 word, u32 kind)
{
    if (BYTES == 2 && kind == FLOAT16) return (T)half_value((u32)word);
    if (BYTES == 2 && kind == BFLOAT16) return (T)__uint_as_float((u32)word << 16);
    if (BYTES == 4 && kind == FLOAT32) return (T)__uint_as_float((u32)word);
    if (BYTES == 8 && kind == FLOAT64) return (T)__longlong_as_double((i64)word);
    if (BYTES == 8) return kind == SIGNED ? (T)(i64)word : (T)word;
    return kind == SIGNED ? (T)(i32)word : (T)(u32)word;
}

// The word of an integer of BYTES bytes, with its sign in all bits in front; that of a bool, 0 or 1.
template <u32 BYTES> __device__ __forceinline__ u64 extended(u64 word, u32 kind)
{
    if (kind == BOOL) return word != 0;
    return kind == SIGNED ? (u64)((i64)(word << (64 - 8 * BYTES)) >> (64 - 8 * BYTES)) : word;
}
