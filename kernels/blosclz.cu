// Decode blosclz streams, the format of Blosc's own codec: a warp takes one stream from its first byte to its last.
//
// A stream is a row of tokens. A control byte below 32 is followed by control + 1 literal bytes. In any other, the upper
// 3 bits are the length of a match less 2; 7 is 9, and bytes that follow are added to it up to the first that is not
// 255. Then comes the lower byte of the distance less 1; bits 8 to 12 of it are the lower 5 bits of the control byte. If
// all 13 bits are set, two more bytes, the higher one first, are the distance less 8192. Of the first control byte only
// the lower 5 bits count, and a stream ends with literals.
// Source: c-blosc 1.21, observed through numcodecs. What c-blosc refuses is refused here, and nothing else.
//
// All lanes know all of a warp's state, and read the same headers, from a window of the stream in shared memory. A lane
// moves a byte of a token, or 16 of a long match. What it moves is stored when the next header has been read, so that
// it comes from memory meanwhile.
#include "common.cuh"

#define WARP 32
#define WARPS 2
#define ALL 0xffffffffu
#define HALF 128      // bytes of the window that are loaded at once
#define ROUND 512     // bytes that a warp stores at once
#define LONG 1024     // bytes of a match that is copied in such rounds
#define MOST (1u << 31)
#define FAR 8192

// The stream: bytes `start` to before `end` of aligned words. The window has those from `base` on; and `next` is this
// lane's word behind it.
struct Input {
    const u32* words;
    u32* window;
    u32 start, end, base, next, lane;

    __device__ __forceinline__ u32 load(u32 at) const { return at + 4 > start && at < end ? __ldg(words + at / 4) : 0; }

    __device__ __forceinline__ void open(u64 address, u32 size, u32* shared)
    {
        lane = threadIdx.x % WARP, window = shared, base = 0;
        words = global<const u32>(address & ~(u64)3);
        start = (u32)(address & 3), end = start + size;
        window[lane] = load(4 * lane), window[lane + WARP] = load(HALF + 4 * lane);
        next = load(2 * HALF + 4 * lane);
        __syncwarp(ALL);
    }

    // Have at least the HALF bytes from `at` on in the window.
    __device__ __forceinline__ void move_to(u32 at)
    {
#pragma unroll 1
        while (at - base >= HALF) {
            __syncwarp(ALL);
            window[(base / 4 + lane) % (2 * WARP)] = next;
            base += HALF;
            next = load(base + 2 * HALF + 4 * lane);
            __syncwarp(ALL);
        }
    }

    __device__ __forceinline__ u32 byte(u32 at) const { return ((const u8*)window)[at % (2 * HALF)]; }

    __device__ __forceinline__ u32 four(u32 at) const
    {
        u32 word = at / 4;
        return __funnelshift_r(window[word % (2 * WARP)], window[(word + 1) % (2 * WARP)], 8 * (at & 3));
    }
};

// n % distance, for n up to WARP: without the division, for which the compiler calls a function.
__device__ __forceinline__ u32 remainder_of(u32 n, u32 distance)
{
#pragma unroll
    for (int i = 5; i >= 0; --i)
        if (n >= distance << i) n -= distance << i;
    return n;
}

// Copy a match of more than WARP bytes. The bytes from `to - distance` on repeat, so only they are read; or, in rounds,
// what was written a multiple of the distance before.
__device__ __forceinline__ void copy_match(u8* to, u32 distance, u32 length, u32 lane)
{
    u32 single = length, back = 0;  // bytes that are moved one by one; how far back the others come from
    if (length >= LONG) {
        for (back = distance; back < ROUND;) back *= 2;
        single = back - distance + (u32)(-(u64)(to + (back - distance)) & (PIECE - 1));
    }
    const u8* from = to - distance;
    u32 step = remainder_of(WARP, distance);
    for (u32 i = lane, at = remainder_of(lane, distance); i < single; i += WARP) {
        to[i] = from[at];
        at += step;
        if (at >= distance) at -= distance;
    }
    if (single == length) return;
    __syncwarp(ALL);
    u32 i = single + PIECE * lane;
    if (back == ROUND) {  // each lane stores the same piece again and again
        uint4 piece = load16(to + i - back);
        for (; i + PIECE <= length; i += ROUND) *(uint4*)(to + i) = piece;
        __syncwarp(ALL);
    } else {
        for (u32 begin = single; begin < length; begin += ROUND, i += ROUND) {
            if (i + PIECE <= length) *(uint4*)(to + i) = load16(to + i - back);
            __syncwarp(ALL);
        }
    }
    u32 rest = (length - single) % PIECE;
    u8* last = to + (length - rest) + lane;
    if (lane < rest) *last = *(last - back);
}

// Add the bytes of a length from `at` on to it, and set `at` behind them. False where that is more than `most`.
__device__ __forceinline__ bool add_length(Input& in, u32& at, u32& length, u32 most)
{
    for (;;) {
        in.move_to(at);
        u32 last = __ballot_sync(ALL, in.byte(at + in.lane) != 255);
        if (last) {
            u32 full = (u32)__ffs((int)last) - 1;
            length += 255 * full + in.byte(at + full);
            at += full + 1;
            return length <= most;
        }
        length += 255 * WARP, at += WARP;
        if (length > most || at >= in.end) return false;
    }
}

// Decode to exactly `nbytes` bytes; false where the stream does not.
__device__ __forceinline__ bool decode(Input& in, u8* target, u32 nbytes)
{
    u32 at = in.start, done = 0, lane = in.lane;
    u32 held = 0, value = 0;  // the last bytes, before `done`, that are not yet stored: one a lane
    u32 bits = 31;
    for (;;) {
        in.move_to(at);
        u32 head = in.four(at), literal = in.byte(at + 1 + lane), control = head & bits, room = nbytes - done;
        bits = 255;
        if (lane < held) target[done - held + lane] = (u8)value;
        if (control < 32) {
            held = control + 1, value = literal;
            if (held > room || held >= in.end - at) return false;
            done += held, at += 1 + held;
            if (at == in.end) break;
            continue;
        }
        u32 length = (control >> 5) + 2, high = (control & 31) << 8, tail = head >> 8;
        at += 1;
        if (control >= 7 << 5) {
            if ((tail & 255) != 255) length += tail & 255, at += 1;
            else if (!add_length(in, at, length, room)) return false;
            if (at >= in.end) return false;
            in.move_to(at);
            tail = in.four(at);
        }
        u32 distance = high + (tail & 255) + 1;
        at += 1;
        if (distance == FAR) distance += (tail & 0xff00) + (tail >> 16 & 255), at += 2;
        if (at >= in.end || length > room || distance > done) return false;
        __syncwarp(ALL);
        if (length > WARP) {
            copy_match(target + done, distance, length, lane);
            held = 0;
        } else {
            if (lane < length) value = target[done - distance + (distance < length ? remainder_of(lane, distance) : lane)];
            held = length;
        }
        done += length;
    }
    if (lane < held) target[done - held + lane] = (u8)value;
    return done == nbytes;
}

// Warp i of the grid decodes stream i.
//   table   rows of `count`: address of each stream, its bytes, the address to decode to, the bytes that it must become
//   bad     set to the lowest number of a stream that is damaged
extern "C" __global__ void __launch_bounds__(WARPS * WARP, 24)
blosclz_decode(const u64* table, u32* bad, u32 count)
{
    __shared__ u32 windows[WARPS][2 * HALF / 4];
    u32 warp = threadIdx.x / WARP;
    u64 i = (u64)blockIdx.x * WARPS + warp;
    if (i >= count) return;
    u64 size = table[count + i], nbytes = table[3 * (u64)count + i];
    bool good = size && size < MOST && nbytes < MOST;
    if (good) {
        Input in;
        in.open(table[i], (u32)size, windows[warp]);
        good = decode(in, global<u8>(table[2 * (u64)count + i]), (u32)nbytes);
    }
    if (!good && threadIdx.x % WARP == 0) atomicMin(bad, (u32)i);
}
