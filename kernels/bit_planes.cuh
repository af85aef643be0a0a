// Make rows of elements of `WIDTH` bytes from their bit planes (layout: bitshuffle.cu).
//
// WIDTH lanes make a strip: 32 elements of a row, which are 2 * WIDTH pieces aligned in the result. Each lane takes one
// byte of the elements: 32 bits, from any bit on, of its 8 planes. It transposes bits in registers, and exchanges bytes
// with the other lanes until it has two pieces. So every word that is loaded gives 32 bits, and no shared memory is
// used.
#pragma once
#include "bits.cuh"
#include "place.cuh"
#include "planes.cuh"

#define STRIP 32  // elements

// Exchange bytes 2 and 3 of `a` with bytes 0 and 1 of `b`; swap_bytes: bytes 1 and 3 of `a` with bytes 0 and 2 of `b`.
__device__ __forceinline__ void swap_halves(u32& a, u32& b)
{
    u32 low = __byte_perm(a, b, 0x5410);
    b = __byte_perm(a, b, 0x7632), a = low;
}
__device__ __forceinline__ void swap_bytes(u32& a, u32& b)
{
    u32 low = __byte_perm(a, b, 0x6240);
    b = __byte_perm(a, b, 0x7351), a = low;
}

// The same between two lanes whose numbers differ in `bit`, for every word: the upper half (or odd bytes) of the lane
// without that bit is exchanged with the lower half (or even bytes) of the lane with it. `sent` selects the bytes of
// two words that are sent; `first` and `second` select those that make each word afterwards.
struct Trade {
    u32 bit, sent, first, second;

    __device__ __forceinline__ void run(u32* word) const
    {
#pragma unroll
        for (u32 r = 0; r < 8; r += 2) {
            u32 got = __shfl_xor_sync(~0u, __byte_perm(word[r], word[r + 1], sent), bit);
            word[r] = __byte_perm(word[r], got, first), word[r + 1] = __byte_perm(word[r + 1], got, second);
        }
    }
};

__device__ __forceinline__ void trade_halves(u32* word, u32 lane, u32 bit)
{
    bool upper = lane & bit;
    Trade t = {bit, upper ? 0x5410u : 0x7632u, upper ? 0x3254u : 0x5410u, upper ? 0x3276u : 0x7610u};
    t.run(word);
}
__device__ __forceinline__ void trade_bytes(u32* word, u32 lane, u32 bit)
{
    bool upper = lane & bit;
    Trade t = {bit, upper ? 0x6420u : 0x7531u, upper ? 0x3514u : 0x5240u, upper ? 0x3716u : 0x7260u};
    t.run(word);
}

// Exchange words between two lanes: those whose number contains NUMBER, of the lane without the bit, with the others of
// the lane with it.
template <u32 NUMBER> __device__ __forceinline__ void trade_words(u32* word, u32 lane, u32 bit)
{
    bool upper = lane & bit;
#pragma unroll
    for (u32 r = 0; r < 8; ++r) {
        if (r & NUMBER) continue;
        u32 got = __shfl_xor_sync(~0u, upper ? word[r] : word[r | NUMBER], bit);
        word[r] = upper ? got : word[r], word[r | NUMBER] = upper ? word[r | NUMBER] : got;
    }
}

// Byte of the elements that a lane takes: its number with the bits reversed, so that few exchanges bring bytes to their
// place.
template <u32 WIDTH> __device__ __forceinline__ u32 byte_of(u32 lane) { return __brev(lane * (32 / WIDTH)) >> 27; }

// Turn byte `byte_of(lane)` of a strip's elements (of element 8 * s + e, in byte s of word e) into pieces `lane` and
// WIDTH + lane. Every step swaps two bits in the combined number of byte, word and lane.
template <u32 WIDTH> __device__ __forceinline__ void in_pieces(u32* word, u32 lane, uint4& low, uint4& high)
{
    enum { LOCAL = WIDTH == 1 ? 2 : WIDTH == 2 ? 1 : 4 };  // bit of the word's number, exchanged with that of the half
    if (WIDTH == 2) trade_bytes(word, lane, 1);
#pragma unroll
    for (u32 r = 0; r < 8; ++r)
        if (WIDTH == 1 && !(r & 1)) swap_bytes(word[r], word[r | 1]);
#pragma unroll
    for (u32 r = 0; r < 8; ++r)
        if (!(r & LOCAL)) swap_halves(word[r], word[r | LOCAL]);
    if (WIDTH >= 4) trade_halves(word, lane, WIDTH / 4), trade_bytes(word, lane, WIDTH / 2);
    if (WIDTH == 8) trade_words<2>(word, lane, 1);
    if (WIDTH == 16) trade_words<1>(word, lane, 1), trade_words<2>(word, lane, 2);
    if (WIDTH == 1) low = words(word[0], word[4], word[1], word[5]), high = words(word[2], word[6], word[3], word[7]);
    else if (WIDTH == 2) low = words(word[0], word[2], word[4], word[6]), high = words(word[1], word[3], word[5], word[7]);
    else if (WIDTH == 4) low = words(word[0], word[1], word[2], word[3]), high = words(word[4], word[5], word[6], word[7]);
    else low = words(word[0], word[2], word[1], word[3]), high = words(word[4], word[6], word[5], word[7]);
}

// A strip of a row, as a Spot. It begins at a multiple of 16 bytes in the result, so perhaps before its row, and may
// end after it.
template <u32 BYTES> __device__ __forceinline__ Spot strip_of(const Form& f, u8* target, u32 n)
{
    u8* start;
    i64 from;
    u32 number = row_of(f, target, n, start, from);
    i32 offset = (i32)(number * BYTES) - (i32)((u64)start & (PIECE - 1)), left = (i32)f.run - offset;
    Spot s;
    s.to = start + offset, s.at = from + offset;
    s.begin = offset < 0 ? -offset : 0, s.end = left < (i32)BYTES ? left : (i32)BYTES;
    return s;
}

// Source: a chunk whose bits are shuffled. The table of planes has the address of the 8 planes of each byte of each
// block.
template <u32 WIDTH> struct BitPlanes {
    const u64* table;                        // the planes of the first block
    u32 begin;                               // where the box begins in the chunk
    u32 block, multiplier, shift, bytes;     // bytes of a block, how to divide by it, bytes of the chunk

    // Byte j of elements [first, end) of the strip that begins `at` bytes into the box. They may be in several blocks.
    __device__ __forceinline__ void load(i64 at, u32 first, u32 end, u32 j, u32* word) const
    {
#pragma unroll 1
        while (first < end) {
            u32 byte = begin + (u32)at + first * WIDTH, number = quotient(byte, multiplier, shift), base = number * block;
            u32 size = bytes - base < block ? bytes - base : block, n = size / WIDTH;
            u32 e = (byte - base) / WIDTH, behind = n - e < end - first ? first + n - e : end;
            i32 zeroth = (i32)(e - first);  // of the strip
            const u8* p = global<const u8>(table[(u64)number * WIDTH + j]) + (zeroth >> 3);
            if (n & 31) take<false>(p, n / 8, zeroth & 7, first, behind, word);
            else take<true>(p, n / 8, zeroth & 7, first, behind, word);
            first = behind;
        }
    }
};

// Rows of such a chunk. The last extent of its form counts strips. All lanes of a warp make the same number of rounds.
template <u32 WIDTH>
__device__ __forceinline__ void bit_rows(const Form& f, u8* target, const BitPlanes<WIDTH>& source, u32 swap)
{
    u32 strips = 1, lane = threadIdx.x % WIDTH, ahead = threadIdx.x % 32 / WIDTH, stride = gridDim.y * blockDim.x / WIDTH;
    for (u32 axis = 0; axis < f.axes; ++axis) strips *= f.extent[axis];
#pragma unroll 1
    for (u32 n = (blockIdx.y * blockDim.x + threadIdx.x) / WIDTH; n - ahead < strips; n += stride) {
        Spot s = strip_of<STRIP * WIDTH>(f, target, n < strips ? n : strips - 1);
        if (n >= strips) s.end = 0;
        u32 word[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        if (s.begin < s.end) source.load(s.at, s.begin / WIDTH, s.end / WIDTH, byte_of<WIDTH>(lane), word);
        transpose8(word);
        uint4 piece[2];
        in_pieces<WIDTH>(word, lane, piece[0], piece[1]);
#pragma unroll
        for (u32 k = 0; k < 2; ++k) {
            i32 there = (i32)((k * WIDTH + lane) * PIECE), begin = s.begin - there, end = s.end - there;
            uint4 v = in_order(piece[k], swap);
            if (begin <= 0 && end >= PIECE) *(uint4*)(s.to + there) = v;
            else store_part(s.to + there, v, begin, end, WIDTH);
        }
    }
}
