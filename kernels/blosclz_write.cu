// Compress streams to blosclz, whose format blosclz.cu describes: a warp takes one stream, 32 positions at a time.
//
// A lane hashes the four bytes at its position, and looks where the same hash was before: at a lane before it, else in a
// table in shared memory. The first lane at which four bytes repeat begins a match, which the warp makes as long as it
// can; what lies before it becomes literals. Where nothing repeats for long, positions are left out.
// The same stream always becomes the same bytes: of lanes with one hash, the last one writes the table.
#include "common.cuh"

#define WARP 32
#define WARPS 2
#define ALL 0xffffffffu
#define HASH_BITS 12
#define REPEAT 4          // bytes of the shortest match
#define FAR 8192          // distances from here on take 2 bytes more, and matches of two words
#define MARGIN 12         // no match begins in the last bytes of a stream
#define ENDING 4          // and none reaches into these: a stream ends with literals
#define PATIENCE 8        // rounds without a match, after which another round is left out each time
#define MOST_LEFT_OUT 15

struct Output {
    u8* to;
    u32 size, room, lane;

    // Literals in runs of at most 32, each behind its control byte.
    __device__ __forceinline__ bool literals(const u8* from, u32 count)
    {
        u32 bytes = count + (count + WARP - 1) / WARP;
        if (bytes > room - size) return false;
        for (u32 i = 0; i < count; i += WARP) {
            u32 run = count - i < WARP ? count - i : WARP;
            if (lane == 0) to[size] = (u8)(run - 1);
            if (lane < run) to[size + 1 + lane] = from[i + lane];
            size += run + 1;
        }
        return true;
    }

    __device__ __forceinline__ bool match(u32 length, u32 distance)
    {
        bool far = distance >= FAR;
        u32 near = far ? FAR - 1 : distance - 1, code = length - 2 < 7 ? length - 2 : 7;
        u32 full = code == 7 ? (length - 9) / 255 : 0, more = code == 7 ? full + 1 : 0;
        u32 bytes = 2 + more + (far ? 2 : 0);
        if (bytes > room - size) return false;
        u8* end = to + size + 1 + more;
        for (u32 i = lane; i < full; i += WARP) to[size + 1 + i] = 255;
        if (lane == 0) {
            to[size] = (u8)(code << 5 | near >> 8);
            if (more) end[-1] = (u8)((length - 9) % 255);
            end[0] = (u8)near;
            if (far) end[1] = (u8)((distance - FAR) >> 8), end[2] = (u8)(distance - FAR);
        }
        size += bytes;
        return true;
    }
};

// Bytes from `at` on that are the same as those `distance` before, at most up to `end`. The first REPEAT are known to be.
__device__ __forceinline__ u32 length_of(const u8* from, u32 at, u32 distance, u32 end, u32 lane)
{
    for (u32 begin = at + REPEAT;; begin += 4 * WARP) {
        u32 p = begin + 4 * lane;
        u32 differ = p < end ? load4(from + p) ^ load4(from + p - distance) : 1;
        u32 lanes = __ballot_sync(ALL, differ != 0);
        if (!lanes) continue;
        u32 first = (u32)__ffs((int)lanes) - 1;
        differ = __shfl_sync(ALL, differ, (int)first);
        u32 stop = begin + 4 * first + ((u32)__ffs((int)differ) - 1) / 8;
        return (stop < end ? stop : end) - at;
    }
}

// Compress `nbytes` > MARGIN bytes. Returns the bytes that were made, 0 where they are not fewer.
__device__ __forceinline__ u32 encode(const u8* from, u32 nbytes, u8* to, u16* table, u32 lane)
{
    Output out;
    out.to = to, out.size = 0, out.room = nbytes - 1, out.lane = lane;
    u32 at = 1, literal = 0, misses = 0, last = nbytes - MARGIN;
    while (at < last) {
        u32 p = at + lane, word = 0, hash = (1 << HASH_BITS) + lane, distance = 0;
        if (p < last) {
            word = load4(from + p), hash = word * 2654435761u >> (32 - HASH_BITS);
            distance = (p - table[hash]) & 0xffff;
        }
        u32 same = __match_any_sync(ALL, hash), before = same & ((1u << lane) - 1);
        if (before) distance = lane - (31 - (u32)__clz((int)before));
        bool repeats = p < last && distance && distance <= p && load4(from + p - distance) == word
                       && (distance < FAR || load4(from + p + 4) == load4(from + p + 4 - distance));
        u32 lanes = __ballot_sync(ALL, repeats), next = at + WARP;
        if (lanes) {
            u32 first = (u32)__ffs((int)lanes) - 1, begin = at + first;
            distance = __shfl_sync(ALL, distance, (int)first);
            u32 length = length_of(from, begin, distance, nbytes - ENDING, lane);
            if (!out.literals(from + literal, begin - literal) || !out.match(length, distance)) return 0;
            literal = next = begin + length, misses = 0;
        }
        u32 passed = next - at < WARP ? (1u << (next - at)) - 1 : ALL;
        // All lanes have read the table: what they read is in their votes.
        if (p < last && passed >> lane & 1 && (same & passed) >> lane == 1) table[hash] = (u16)p;
        __syncwarp(ALL);
        if (!lanes) {
            u32 left_out = misses++ / PATIENCE;
            next += WARP * (left_out < MOST_LEFT_OUT ? left_out : MOST_LEFT_OUT);
        }
        at = next;
    }
    if (!out.literals(from + literal, nbytes - literal)) return 0;
    __syncwarp(ALL);
    if (lane == 0) to[0] |= 32;  // as c-blosc marks the first byte
    return out.size;
}

// Warp i of the grid compresses stream i.
//   table   rows of `count`: address of each stream, its bytes, the address of a slot of as many bytes
//   made    bytes in each slot; 0 for a stream that did not become smaller
extern "C" __global__ void __launch_bounds__(WARPS * WARP)
blosclz_encode(const u64* table, u64* made, u32 count)
{
    __shared__ u32 hashes[WARPS][(1 << HASH_BITS) / 2];
    u32 warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    u64 i = (u64)blockIdx.x * WARPS + warp;
    if (i >= count) return;
    for (u32 h = lane; h < (1 << HASH_BITS) / 2; h += WARP) hashes[warp][h] = 0;
    __syncwarp(ALL);
    u64 nbytes = table[count + i];
    u32 size = 0;
    if (nbytes > MARGIN && nbytes < 1u << 31) {
        const u8* from = global<const u8>(table[i]);
        size = encode(from, (u32)nbytes, global<u8>(table[2 * (u64)count + i]), (u16*)hashes[warp], lane);
    }
    if (lane == 0) made[i] = size;
}
