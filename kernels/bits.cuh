// Bits of 8 bytes, transposed: what the bit shuffle needs in both directions.
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
