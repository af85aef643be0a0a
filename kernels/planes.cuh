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

// For 16 bytes of output a thread loads a part of each plane. `made`: the output of these parts. AT_ONCE: how many a
// thread should load at once, to hide the latency of memory within its registers.
template <u32 WIDTH> struct Elements;

template <> struct Elements<2> {
    enum { AT_ONCE = 4 };
    typedef uint2 Part;
    static __device__ __forceinline__ uint4 made(const Part* p)
    {
        return words(__byte_perm(p[0].x, p[1].x, 0x5140), __byte_perm(p[0].x, p[1].x, 0x7362),
                     __byte_perm(p[0].y, p[1].y, 0x5140), __byte_perm(p[0].y, p[1].y, 0x7362));
    }
};

template <> struct Elements<4> {
    enum { AT_ONCE = 4 };
    typedef u32 Part;
    static __device__ __forceinline__ uint4 made(const Part* p)
    {
        u32 low01 = __byte_perm(p[0], p[1], 0x5140), low23 = __byte_perm(p[2], p[3], 0x5140);
        u32 high01 = __byte_perm(p[0], p[1], 0x7362), high23 = __byte_perm(p[2], p[3], 0x7362);
        return words(__byte_perm(low01, low23, 0x5410), __byte_perm(low01, low23, 0x7632),
                     __byte_perm(high01, high23, 0x5410), __byte_perm(high01, high23, 0x7632));
    }
};

template <> struct Elements<8> {
    enum { AT_ONCE = 4 };
    typedef u16 Part;
    static __device__ __forceinline__ uint4 made(const Part* p)
    {
        u32 pair[4];
#pragma unroll
        for (u32 j = 0; j < 4; ++j) pair[j] = p[2 * j] | (u32)p[2 * j + 1] << 16;
        return words(__byte_perm(pair[0], pair[1], 0x6420), __byte_perm(pair[2], pair[3], 0x6420),
                     __byte_perm(pair[0], pair[1], 0x7531), __byte_perm(pair[2], pair[3], 0x7531));
    }
};

template <> struct Elements<16> {
    enum { AT_ONCE = 1 };
    typedef u8 Part;
    static __device__ __forceinline__ uint4 made(const Part* p)
    {
        u32 w[4];
#pragma unroll
        for (u32 j = 0; j < 4; ++j)
            w[j] = p[4 * j] | (u32)p[4 * j + 1] << 8 | (u32)p[4 * j + 2] << 16 | (u32)p[4 * j + 3] << 24;
        return words(w[0], w[1], w[2], w[3]);
    }
};

__device__ __forceinline__ void load_part(const u8* p, uint2& v) { v = load8(p); }
__device__ __forceinline__ void load_part(const u8* p, u32& v) { v = load4(p); }
__device__ __forceinline__ void load_part(const u8* p, u16& v) { v = (u16)load2(p); }
__device__ __forceinline__ void load_part(const u8* p, u8& v) { v = *p; }

// Load the parts of elements from e on; plane[j] is the address of byte j of the first element. EVEN: they are aligned to
// the size of a part. Then nothing is shifted, and no load waits for those before it.
template <u32 WIDTH, bool EVEN, class Part>
__device__ __forceinline__ void load_parts(const u8* const* plane, u64 e, Part* part)
{
#pragma unroll
    for (u32 j = 0; j < WIDTH; ++j) {
        if (EVEN) part[j] = *(const Part*)(plane[j] + e);
        else load_part(plane[j] + e, part[j]);
    }
}

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
