// Undo packbits: elements, or parts of complex ones, of which a few bits each are stored, without padding between them.
//
// blockIdx.x: the chunk; the blocks of threads of its row share its groups. A thread makes groups of 8 bytes of the
// result, from at most 64 bits, which it loads at once.
//   table     rows of `count`: address of a chunk's bits; of its result, aligned to `bytes`
//   packed    bytes that hold a chunk's bits
//   parts     of a chunk
//   bytes     of a part in the result: 1, 2, 4 or 8
//   width     bits of a part that are stored, the lowest one first; at most 8 * bytes - first
//   first     the lowest of them in the part
//   is_signed 1 where the bits above get the value of the highest stored one, else 0
//   highest_first  1 where the bits of each stored byte, of which a part has one, begin with the highest; else 0
#include "common.cuh"

// 64 bits from any bit on; zeros behind the end of the `packed` bytes.
__device__ __forceinline__ u64 bits_at(const u8* from, u64 packed, u64 bit)
{
    u64 at = bit / 8;
    u32 shift = (u32)(bit & 7), above = 0;
    uint2 v;
    if (at + 9 <= packed) v = load8(from + at), above = from[at + 8];
    else {
        v.x = 0, v.y = 0;
        for (u32 b = 0; b < 9 && at + b < packed; ++b) {
            u32 byte = from[at + b];
            if (b < 4) v.x |= byte << (8 * b);
            else if (b < 8) v.y |= byte << (8 * (b - 4));
            else above = byte;
        }
    }
    u64 low = (u64)v.y << 32 | v.x;
    return shift ? low >> shift | (u64)above << (64 - shift) : low;
}

extern "C" __global__ void
unpackbits(const u64* table, u64 packed, u64 parts, u32 bytes, u32 width, u32 first, u32 is_signed, u32 highest_first, u32 count)
{
    if (blockIdx.x >= count) return;
    const u8* from = global<const u8>(table[blockIdx.x]);
    u8* to = global<u8>(table[(u64)count + blockIdx.x]);
    u32 each = 8 / bytes, end = first + width;  // `end`: the bit above the stored ones
    u64 kept = width < 64 ? (1ull << width) - 1 : ~0ull, whole = bytes < 8 ? (1ull << (8 * bytes)) - 1 : ~0ull;
    u64 step = (u64)gridDim.y * blockDim.x, groups = (parts + each - 1) / each;
    for (u64 group = (u64)blockIdx.y * blockDim.x + threadIdx.x; group < groups; group += step) {
        u64 stream = bits_at(from, packed, group * each * width), made = 0;
        if (highest_first) stream = __brev((u32)stream) >> 24;
        u32 here = parts - group * each < each ? (u32)(parts - group * each) : each;
        for (u32 k = 0; k < here; ++k) {
            u64 part = stream & kept, value = part << first;
            if (is_signed && end < 64 && part >> (width - 1)) value |= ~0ull << end;
            made |= (value & whole) << (8 * bytes * k);
            if (k + 1 < here) stream >>= width;
        }
        u8* place = to + group * 8;
        if (here == each && ((u64)place & 3) == 0) store4(place, (u32)made), store4(place + 4, (u32)(made >> 32));
        else for (u32 b = 0; b < here * bytes; ++b) place[b] = (u8)(made >> (8 * b));
    }
}

// A chunk is bad if the byte at its address is not `padding`. `bad`: see check.cu.
extern "C" __global__ void bad_padding(const u64* table, u32 padding, u32 count, u32* bad)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count && *global<const u8>(table[i]) != padding) atomicMin(bad, i);
}
