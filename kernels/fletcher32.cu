// Fletcher-32 of many ranges of bytes, as HDF5 and numcodecs have it: words of two bytes, the first one the higher; an
// odd byte at the end is the higher one of a last word. The sum of the words, and the sum of all partial sums, modulo
// 65535, of which 0 is only the sum of zeros, and 65535 stands for its multiples.
//
// blockIdx.x: the range; the blocks of threads of its row share its segments of `segment` bytes (even, at most 65536, so
// that no sum overflows). A thread takes every 256th piece of 16 bytes. The sums of a segment are shifted to its place in
// the range, and added.
//   table   rows of `count`: address, bytes
//   sums    2 * count zeros; on return both sums of each range, not yet reduced
// fletcher32_join, with one thread for each range, makes the checksums from them: 65536 * second + first.
#include "common.cuh"

#define THREADS 256
#define MODULUS 65535

// A sum that is no multiple of MODULUS but 0 stays one.
__device__ __forceinline__ u64 reduced(u64 sum) { return sum ? (sum - 1) % MODULUS + 1 : 0; }

// Add the word of two bytes that are the lowest of `pair`.
__device__ __forceinline__ void add(u32 pair, u32& first, u32& second)
{
    first += (pair & 255) << 8 | (pair >> 8 & 255);
    second += first;
}

extern "C" __global__ void __launch_bounds__(THREADS) fletcher32_sums(const u64* table, u64 segment, u64* sums, u32 count)
{
    __shared__ u64 first[THREADS];
    __shared__ u64 second[THREADS];
    if (blockIdx.x >= count) return;
    u64 size = table[(u64)count + blockIdx.x], words = (size + 1) / 2;
    u32 t = threadIdx.x;
    for (u64 begin = blockIdx.y * segment; begin < size; begin += gridDim.y * segment) {
        u64 length = size - begin < segment ? size - begin : segment, pairs = (length + 1) / 2, a = 0, b = 0;
        const u8* from = global<const u8>(table[blockIdx.x]) + begin;
        for (u64 at = (u64)t * PIECE; at < length; at += THREADS * PIECE) {
            u32 one = 0, two = 0, here = PIECE / 2;
            if (at + PIECE <= length) {
                uint4 piece = load16(from + at);
                add(piece.x, one, two), add(piece.x >> 16, one, two), add(piece.y, one, two), add(piece.y >> 16, one, two);
                add(piece.z, one, two), add(piece.z >> 16, one, two), add(piece.w, one, two), add(piece.w >> 16, one, two);
            } else {
                here = (u32)(pairs - at / 2);
                for (u64 i = at; i < length; i += 2)
                    add(from[i] | (i + 1 < length ? (u32)from[i + 1] << 8 : 0), one, two);
            }
            a += one, b += two + one * (pairs - at / 2 - here);
        }
        first[t] = a, second[t] = b;
        for (u32 half = THREADS / 2; half; half /= 2) {
            __syncthreads();
            if (t < half) first[t] += first[t + half], second[t] += second[t + half];
        }
        if (t == 0) {
            u64 after = words - begin / 2 - pairs;
            atomicAdd(sums + 2ull * blockIdx.x, reduced(first[0]));
            atomicAdd(sums + 2ull * blockIdx.x + 1, reduced(second[0] + first[0] * (after % MODULUS)));
        }
        __syncthreads();
    }
}

extern "C" __global__ void fletcher32_join(const u64* sums, u32* fletcher, u32 count)
{
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) fletcher[i] = (u32)(reduced(sums[2ull * i + 1]) << 16 | reduced(sums[2ull * i]));
}
