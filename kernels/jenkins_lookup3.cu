// Jenkins' lookup3 (hashlittle) of many ranges of bytes, each behind the same `prefix`, as HDF5 and numcodecs have it.
// Source: http://burtleburtle.net/bob/c/lookup3.c
//
// Each 12 bytes are mixed into what came before, so the hash of a range is the work of one thread. A warp takes one range,
// blockIdx.x: its lanes load tiles of 384 bytes, the next one while lane 0 hashes the last.
//   table    rows of `count`: address, bytes
//   prefix   `prefix_bytes` bytes
//   initval  the initial value
//   hash     `count` results
#include "common.cuh"

#define LANES 32
#define WORDS 3  // of a step; a tile has a step for each lane

__device__ __forceinline__ u32 rotated(u32 v, u32 by) { return v << by | v >> (32 - by); }

struct State { u32 a, b, c; };

__device__ __forceinline__ void mix(State& s)
{
    s.a -= s.c, s.a ^= rotated(s.c, 4), s.c += s.b;
    s.b -= s.a, s.b ^= rotated(s.a, 6), s.a += s.c;
    s.c -= s.b, s.c ^= rotated(s.b, 8), s.b += s.a;
    s.a -= s.c, s.a ^= rotated(s.c, 16), s.c += s.b;
    s.b -= s.a, s.b ^= rotated(s.a, 19), s.a += s.c;
    s.c -= s.b, s.c ^= rotated(s.b, 4), s.b += s.a;
}

__device__ __forceinline__ void finish(State& s)
{
    s.c ^= s.b, s.c -= rotated(s.b, 14);
    s.a ^= s.c, s.a -= rotated(s.c, 11);
    s.b ^= s.a, s.b -= rotated(s.a, 25);
    s.c ^= s.b, s.c -= rotated(s.b, 16);
    s.a ^= s.c, s.a -= rotated(s.c, 4);
    s.b ^= s.a, s.b -= rotated(s.a, 14);
    s.c ^= s.b, s.c -= rotated(s.b, 24);
}

// Four bytes of the prefix and the range behind it, from byte `at`; zeros behind their end.
__device__ __forceinline__ u32 word_at(const u8* prefix, u64 before, const u8* data, u64 total, u64 at)
{
    if (at >= before && at + 4 <= total) return load4(data + (at - before));
    u32 word = 0;
    for (u32 b = 0; b < 4 && at + b < total; ++b)
        word |= (u32)(at + b < before ? prefix[at + b] : data[at + b - before]) << (8 * b);
    return word;
}

extern "C" __global__ void __launch_bounds__(LANES)
jenkins_lookup3(const u64* table, const u8* prefix, u64 prefix_bytes, u32 initval, u32* hash, u32 count)
{
    __shared__ u32 tile[WORDS * LANES];
    if (blockIdx.x >= count) return;
    const u8* data = global<const u8>(table[blockIdx.x]);
    u64 total = prefix_bytes + table[(u64)count + blockIdx.x], steps = (total + 4 * WORDS - 1) / (4 * WORDS);
    u32 lane = threadIdx.x, start = 0xdeadbeefu + (u32)total + initval, next[WORDS];
    State state = {start, start, start};
    for (u32 w = 0; w < WORDS; ++w) next[w] = word_at(prefix, prefix_bytes, data, total, 4ull * (w * LANES + lane));
    for (u64 done = 0; done < steps; done += LANES) {
        for (u32 w = 0; w < WORDS; ++w) tile[w * LANES + lane] = next[w];
        __syncwarp(0xffffffffu);
        u64 after = (done + LANES) * 4 * WORDS;
        for (u32 w = 0; w < WORDS; ++w)
            next[w] = word_at(prefix, prefix_bytes, data, total, after + 4ull * (w * LANES + lane));
        if (lane == 0) {
            u32 here = steps - done < LANES ? (u32)(steps - done) : LANES;
            for (u32 i = 0; i < here; ++i) {
                state.a += tile[WORDS * i], state.b += tile[WORDS * i + 1], state.c += tile[WORDS * i + 2];
                if (done + i + 1 < steps) mix(state);
                else finish(state);
            }
        }
        __syncwarp(0xffffffffu);
    }
    if (lane == 0) hash[blockIdx.x] = state.c;
}
