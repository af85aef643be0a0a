// Adler-32 (RFC 1950) of many ranges of bytes: 1 + the sum of the bytes, and the sum of all partial sums.
//
// blockIdx.x: the range; the blocks of threads of its row share its segments of `segment` bytes (at most 65536, so that
// no sum overflows). A thread takes every 256th piece of 16 bytes. The sums of a segment are shifted to its place in the
// range, and added.
//   table   rows of `count`: address, bytes
//   sums    2 * count zeros; on return both sums of each range, not yet reduced
// adler32_join, with one thread for each range, makes the checksums from them: 65536 * second + first.
#include "common.cuh"

#define THREADS 256
#define MODULUS 65521

// Add four bytes, the lowest first.
__device__ __forceinline__ void add(u32 word, u32& first, u32& second)
{
    for (u32 shift = 0; shift < 32; shift += 8) first += word >> shift & 255, second += first;
}

extern "C" __global__ void __launch_bounds__(THREADS) adler32_sums(const u64* table, u64 segment, u64* sums, u32 count)
{
    __shared__ u64 first[THREADS];
    __shared__ u64 second[THREADS];
    if (blockIdx.x >= count) return;
    u64 size = table[(u64)count + blockIdx.x];
    u32 t = threadIdx.x;
    for (u64 begin = blockIdx.y * segment; begin < size; begin += gridDim.y * segment) {
        u64 length = size - begin < segment ? size - begin : segment, a = 0, b = 0;
        const u8* from = global<const u8>(table[blockIdx.x]) + begin;
        for (u64 at = (u64)t * PIECE; at < length; at += THREADS * PIECE) {
            u32 one = 0, two = 0, here = length - at < PIECE ? (u32)(length - at) : PIECE;
            if (here == PIECE) {
                uint4 piece = load16(from + at);
                add(piece.x, one, two), add(piece.y, one, two), add(piece.z, one, two), add(piece.w, one, two);
            } else for (u32 i = 0; i < here; ++i) one += from[at + i], two += one;
            a += one, b += two + one * (length - at - here);
        }
        first[t] = a, second[t] = b;
        for (u32 half = THREADS / 2; half; half /= 2) {
            __syncthreads();
            if (t < half) first[t] += first[t + half], second[t] += second[t + half];
        }
        if (t == 0) {
            u64 after = size - begin - length;
            atomicAdd(sums + 2ull * blockIdx.x, first[0] % MODULUS);
            atomicAdd(sums + 2ull * blockIdx.x + 1, (second[0] + first[0] * (after % MODULUS)) % MODULUS);
        }
        __syncthreads();
    }
}

extern "C" __global__ void adler32_join(const u64* table, const u64* sums, u32* adler, u32 count)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    u64 size = table[(u64)count + i];
    u64 a = (1 + sums[2ull * i]) % MODULUS, b = (size % MODULUS + sums[2ull * i + 1]) % MODULUS;
    adler[i] = (u32)(b << 16 | a);
}
