// Elements of `WIDTH` bytes from their byte planes: byte j of all elements of a block is plane j.
// Tests compare the byte transposes by PRMT with NumPy.
#pragma once
#include "common.cuh"

__device__ __forceinline__ uint4 words(u32 x, u32 y, u32 z, u32 w)
{
    uint4 v;
    v.x = x, v.y = y, v.z = z, v.w = w;
    return v;
}

// `at`: 16 bytes of output, elements from e on; plane[j] is the address of byte j of the first element. AT_ONCE: how
// many a thread should load at once, to hide the latency of memory within its registers.
template <u32 WIDTH> struct Elements;

template <> struct Elements<2> {
    enum { AT_ONCE = 4 };
    static __device__ __forceinline__ uint4 at(const u8* const* plane, u64 e)
    {
        uint2 p = load8(plane[0] + e), q = load8(plane[1] + e);
        return words(__byte_perm(p.x, q.x, 0x5140), __byte_perm(p.x, q.x, 0x7362),
                     __byte_perm(p.y, q.y, 0x5140), __byte_perm(p.y, q.y, 0x7362));
    }
};

template <> struct Elements<4> {
    enum { AT_ONCE = 4 };
    static __device__ __forceinline__ uint4 at(const u8* const* plane, u64 e)
    {
        u32 p0 = load4(plane[0] + e), p1 = load4(plane[1] + e), p2 = load4(plane[2] + e), p3 = load4(plane[3] + e);
        u32 low01 = __byte_perm(p0, p1, 0x5140), low23 = __byte_perm(p2, p3, 0x5140);
        u32 high01 = __byte_perm(p0, p1, 0x7362), high23 = __byte_perm(p2, p3, 0x7362);
        return words(__byte_perm(low01, low23, 0x5410), __byte_perm(low01, low23, 0x7632),
                     __byte_perm(high01, high23, 0x5410), __byte_perm(high01, high23, 0x7632));
    }
};

template <> struct Elements<8> {
    enum { AT_ONCE = 4 };
    static __device__ __forceinline__ uint4 at(const u8* const* plane, u64 e)
    {
        u32 half[8], pair[4];
#pragma unroll
        for (u32 j = 0; j < 8; ++j) half[j] = load2(plane[j] + e);
#pragma unroll
        for (u32 j = 0; j < 4; ++j) pair[j] = half[2 * j] | half[2 * j + 1] << 16;
        return words(__byte_perm(pair[0], pair[1], 0x6420), __byte_perm(pair[2], pair[3], 0x6420),
                     __byte_perm(pair[0], pair[1], 0x7531), __byte_perm(pair[2], pair[3], 0x7531));
    }
};

template <> struct Elements<16> {
    enum { AT_ONCE = 1 };
    static __device__ __forceinline__ uint4 at(const u8* const* plane, u64 e)
    {
        u32 w[4];
#pragma unroll
        for (u32 j = 0; j < 4; ++j) {
            w[j] = plane[4 * j][e] | (u32)plane[4 * j + 1][e] << 8;
            w[j] |= (u32)plane[4 * j + 2][e] << 16 | (u32)plane[4 * j + 3][e] << 24;
        }
        return words(w[0], w[1], w[2], w[3]);
    }
};

// Element e, byte by byte.
__device__ __forceinline__ u32 word_of(const u8* const* plane, u32 e)
{
    return plane[0][e] | (u32)plane[1][e] << 8 | (u32)plane[2][e] << 16 | (u32)plane[3][e] << 24;
}
__device__ __forceinline__ void gather(const u8* const* plane, u32 e, u16& v)
{
    v = (u16)(plane[0][e] | plane[1][e] << 8);
}
__device__ __forceinline__ void gather(const u8* const* plane, u32 e, u32& v) { v = word_of(plane, e); }
__device__ __forceinline__ void gather(const u8* const* plane, u32 e, uint2& v)
{
    v.x = word_of(plane, e), v.y = word_of(plane + 4, e);
}
__device__ __forceinline__ void gather(const u8* const* plane, u32 e, uint4& v)
{
    v = words(word_of(plane, e), word_of(plane + 4, e), word_of(plane + 8, e), word_of(plane + 12, e));
}
