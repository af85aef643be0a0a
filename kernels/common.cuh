// Types, loads and stores that all kernels share. NVRTC has no <stdint.h>, so integer types are defined here.
//
// Tables: a kernel gets the addresses and sizes that it works on as rows of u64, in one upload. Addresses are absolute
// and need not be aligned.
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

#define PIECE 16  // bytes that a thread moves at once

// Pointer for an address from a table: the compiler is told that it is in global memory.
template <class T> __device__ __forceinline__ T* global(u64 address)
{
    T* p = (T*)address;
    __builtin_assume(__isGlobal(p));
    return p;
}

// Four bytes from any address, by the aligned words that hold them. A word that holds none of the four bytes is not
// read, so a read never leaves the aligned 4 bytes around a byte of the source.
__device__ __forceinline__ u32 load4(const u8* p)
{
    const u32* word = (const u32*)(p - ((u64)p & 3));
    u32 shift = 8 * (u32)((u64)p & 3);
    return shift ? __funnelshift_r(word[0], word[1], shift) : word[0];
}

// Two bytes from any address, by the aligned words that hold them.
__device__ __forceinline__ u32 load2(const u8* p)
{
    const u32* word = (const u32*)(p - ((u64)p & 3));
    u32 shift = 8 * (u32)((u64)p & 3);
    return (shift == 24 ? __funnelshift_r(word[0], word[1], shift) : word[0] >> shift) & 0xffff;
}

// Eight bytes from any address, as two words.
__device__ __forceinline__ uint2 load8(const u8* p)
{
    const u32* word = (const u32*)(p - ((u64)p & 3));
    u32 shift = 8 * (u32)((u64)p & 3);
    uint2 v;
    v.x = word[0], v.y = word[1];
    if (shift) {
        u32 last = word[2];
        v.x = __funnelshift_r(v.x, v.y, shift), v.y = __funnelshift_r(v.y, last, shift);
    }
    return v;
}

// Sixteen bytes from any address.
__device__ __forceinline__ uint4 load16(const u8* p)
{
    if (((u64)p & 15) == 0) return *(const uint4*)p;
    const u32* word = (const u32*)(p - ((u64)p & 3));
    u32 shift = 8 * (u32)((u64)p & 3);
    uint4 v;
    v.x = word[0], v.y = word[1], v.z = word[2], v.w = word[3];
    if (shift) {
        u32 last = word[4];
        v.x = __funnelshift_r(v.x, v.y, shift), v.y = __funnelshift_r(v.y, v.z, shift);
        v.z = __funnelshift_r(v.z, v.w, shift), v.w = __funnelshift_r(v.w, last, shift);
    }
    return v;
}

// Four bytes to any address.
__device__ __forceinline__ void store4(u8* p, u32 v)
{
    if (((u64)p & 3) == 0) { *(u32*)p = v; return; }
    p[0] = (u8)v, p[1] = (u8)(v >> 8), p[2] = (u8)(v >> 16), p[3] = (u8)(v >> 24);
}

// Sixteen bytes to any address.
__device__ __forceinline__ void store16(u8* p, uint4 v)
{
    if (((u64)p & 15) == 0) { *(uint4*)p = v; return; }
    store4(p, v.x), store4(p + 4, v.y), store4(p + 8, v.z), store4(p + 12, v.w);
}

// Offset of this thread's first piece of a row, and the distance between its pieces. The row is blockIdx.x; the blocks
// of threads of a row (gridDim.y of them) share its pieces.
__device__ __forceinline__ u64 first_piece() { return ((u64)blockIdx.y * blockDim.x + threadIdx.x) * PIECE; }
__device__ __forceinline__ u64 piece_stride() { return (u64)gridDim.y * blockDim.x * PIECE; }
