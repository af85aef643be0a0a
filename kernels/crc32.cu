// Reflected 32-bit CRC of many ranges of bytes, for a given polynomial: Zarr's crc32c, and that of gzip.
//
// blockIdx.x: the range; blockIdx.y: its segment of `segment` bytes (a multiple of 1024). Thread t of 256 takes words
// t, t + 256, ... of the segment, which is padded with zeros in front so that all lanes end together (they do not
// change a raw CRC). From word to word it multiplies by x^8192, with four tables. Then the result of each lane is
// shifted to its place, xor gives the raw CRC of the segment, and that is shifted to its place in the range and added
// by atomicXor.
//   table    rows of `count`: address, bytes
//   powers   [0, 1024): four tables of 256, v -> (byte v of the state) * x^8192; [1024, 1280): x^(32 * (256 - lane));
//            [1280]: the polynomial, reflected; [1281, 1345): x^(8 * 2^i). See gpuzarr/gpu/checksums.py.
//   crc      `count` zeros; on return the CRC of each range
#include "common.cuh"

#define LANES 256

// Product of two polynomials modulo the CRC's polynomial, reflected (the highest bit is x^0).
__device__ __forceinline__ u32 multiply(u32 a, u32 b, u32 polynomial)
{
    u32 product = 0;
    for (u32 bit = 0x80000000u; bit; bit >>= 1) {
        if (a & bit) product ^= b;
        b = (b >> 1) ^ (b & 1 ? polynomial : 0);
    }
    return product;
}

// v shifted by `bytes` bytes that follow it: v * x^(8 * bytes).
__device__ __forceinline__ u32 moved(u32 v, u64 bytes, const u32* powers)
{
    for (u32 i = 0; bytes; ++i, bytes >>= 1)
        if (bytes & 1) v = multiply(v, powers[1281 + i], powers[1280]);
    return v;
}

extern "C" __global__ void __launch_bounds__(LANES)
crc32(const u64* table, const u32* powers, u64 segment, u32* crc, u32 count)
{
    __shared__ u32 steps[1024];
    __shared__ u32 lanes[LANES];
    if (blockIdx.x >= count) return;
    u64 size = table[(u64)count + blockIdx.x], begin = blockIdx.y * segment;
    if (begin >= size && blockIdx.y > 0) return;
    u64 length = size - begin < segment ? size - begin : segment;
    const u8* from = global<const u8>(table[blockIdx.x]) + begin;
    u32 lane = threadIdx.x;
    for (u32 i = lane; i < 1024; i += LANES) steps[i] = powers[i];
    __syncthreads();

    u64 rounds = (length + 4 * LANES - 1) / (4 * LANES);
    i64 at = (i64)length - (i64)(rounds * 4 * LANES) + 4 * lane;  // negative: in the zeros in front
    u32 state = 0;
    for (u64 r = 0; r < rounds; ++r, at += 4 * LANES) {
        u32 word = 0;
        if (at >= 0) word = load4(from + at);
        else for (i32 b = 0; b < 4; ++b) word |= at + b >= 0 ? (u32)from[at + b] << (8 * b) : 0;
        state = steps[state & 255] ^ steps[256 + (state >> 8 & 255)] ^ steps[512 + (state >> 16 & 255)] ^ steps[768 + (state >> 24)];
        state ^= word;
    }
    lanes[lane] = multiply(state, powers[1024 + lane], powers[1280]);
    for (u32 half = LANES / 2; half; half /= 2) {
        __syncthreads();
        if (lane < half) lanes[lane] ^= lanes[lane + half];
    }
    if (lane) return;
    u32 part = moved(lanes[0], size - begin - length, powers);
    if (blockIdx.y == 0) part ^= moved(0xffffffffu, size, powers) ^ 0xffffffffu;  // initial value and final xor
    atomicXor(crc + blockIdx.x, part);
}
