// Transposition of bits, for the bit shuffle in both directions.
#pragma once
#include "common.cuh"

// 8 x 8 bits: bit e of byte k becomes bit k of byte e.
__device__ __forceinline__ u64 transpose8x8(u64 x)
{
    u64 t = (x ^ (x >> 7)) & 0x00AA00AA00AA00AAull;
    x = x ^ t ^ (t << 7);
    t = (x ^ (x >> 14)) & 0x0000CCCC0000CCCCull;
    x = x ^ t ^ (t << 14);
    t = (x ^ (x >> 28)) & 0x00000000F0F0F0F0ull;
    return x ^ t ^ (t << 28);
}

// Exchange the bits of `a` outside `mask`, which are DISTANCE higher, with the bits of `b` inside it.
template <u32 DISTANCE> __device__ __forceinline__ void swap_bits(u32& a, u32& b, u32 mask)
{
    u32 low = (a & mask) | (b << DISTANCE & ~mask);
    b = (a >> DISTANCE & mask) | (b & ~mask);
    a = low;
}

// Four blocks of 8 x 8 bits, across words: bit e of byte s of word k becomes bit k of byte s of word e.
__device__ __forceinline__ void transpose8(u32* word)
{
#pragma unroll
    for (u32 k = 0; k < 8; ++k)
        if (!(k & 4)) swap_bits<4>(word[k], word[k | 4], 0x0F0F0F0F);
#pragma unroll
    for (u32 k = 0; k < 8; ++k)
        if (!(k & 2)) swap_bits<2>(word[k], word[k | 2], 0x33333333);
#pragma unroll
    for (u32 k = 0; k < 8; ++k)
        if (!(k & 1)) swap_bits<1>(word[k], word[k | 1], 0x55555555);
}

// Load one word from each of 8 planes: bits [begin, end) of the 32 that begin at bit `bit` of p. Planes are `stride`
// bytes apart; EVEN says that `stride` is a multiple of 4, so all planes have the same alignment. Bits before `begin`
// keep their values in `word`. Aligned words that hold none of the bits are not read.
template <bool EVEN>
__device__ __forceinline__ void take(const u8* p, u32 stride, u32 bit, u32 begin, u32 end, u32* word)
{
    u32 before = (1u << begin) - 1;
    if (EVEN && ((u64)p & 3) == 0 && bit == 0 && begin == 0 && end == 32) {  // so that no load waits for another
#pragma unroll
        for (u32 k = 0; k < 8; ++k) word[k] = *(const u32*)(p + (u64)k * stride);
        return;
    }
#pragma unroll
    for (u32 k = 0; k < 8; ++k) {
        const u8* q = p + (u64)k * stride;
        u32 odd = (u32)(u64)(EVEN ? p : q) & 3, shift = 8 * odd + bit;
        const u32* from = (const u32*)(q - odd);
        u32 low = shift + begin < 32 ? from[0] : 0, high = shift + end > 32 ? from[1] : 0;
        word[k] = (word[k] & before) | (__funnelshift_r(low, high, shift) & ~before);
    }
}
