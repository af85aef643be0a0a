// Shuffles of the bits of a block. Plane 8 * j + k, of `groups` bytes, has bit k of byte j of all elements: that of
// element e is bit e % 8 of its byte e / 8.
#include <string.h>
#include "bits.h"

enum { WIDTH = 16, TILE = 8 * WIDTH };  // bytes of a vector, and elements that are turned together

typedef unsigned char Bytes __attribute__((vector_size(WIDTH)));
typedef uint64_t Words __attribute__((vector_size(WIDTH)));

#if defined(__clang__)
#define PICKED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICKED(a, b, ...) __builtin_shuffle(a, b, (Bytes){__VA_ARGS__})
#endif
#define UNROLLED _Pragma("GCC unroll 16")
#define INLINE static inline __attribute__((always_inline))

// Bytes of a and b in turn: of their first halves, and of their second halves. `even` and `odd` undo that.
INLINE Bytes low(Bytes a, Bytes b) { return PICKED(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); }
INLINE Bytes high(Bytes a, Bytes b) { return PICKED(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31); }
INLINE Bytes even(Bytes a, Bytes b) { return PICKED(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30); }
INLINE Bytes odd(Bytes a, Bytes b) { return PICKED(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31); }

// Interleave n vectors, n a power of two: the first byte of each, then the second of each, and so on.
INLINE void interleave(Bytes *vectors, size_t n)
{
    Bytes made[WIDTH];
    UNROLLED for (size_t stage = 1; stage < n; stage *= 2) {
        UNROLLED for (size_t i = 0; i < n / 2; i++) {
            made[2 * i] = low(vectors[i], vectors[i + n / 2]);
            made[2 * i + 1] = high(vectors[i], vectors[i + n / 2]);
        }
        memcpy(vectors, made, n * WIDTH);
    }
}

INLINE void deinterleave(Bytes *vectors, size_t n)
{
    Bytes made[WIDTH];
    UNROLLED for (size_t stage = 1; stage < n; stage *= 2) {
        UNROLLED for (size_t i = 0; i < n / 2; i++) {
            made[i] = even(vectors[2 * i], vectors[2 * i + 1]);
            made[i + n / 2] = odd(vectors[2 * i], vectors[2 * i + 1]);
        }
        memcpy(vectors, made, n * WIDTH);
    }
}

// Exchange bit e of each byte of vector k with bit k of the same byte of vector e. Source: Hacker's Delight, 7-3.
INLINE void transpose(Words *vectors)
{
    static const uint64_t masks[] = {0x5555555555555555u, 0x3333333333333333u, 0x0f0f0f0f0f0f0f0fu};
    UNROLLED for (int stage = 2; stage >= 0; stage--) {
        int s = 1 << stage;
        UNROLLED for (int i = 0; i < 8; i++) {
            if (i & s) continue;
            Words swapped = (vectors[i] >> s ^ vectors[i + s]) & masks[stage];
            vectors[i + s] ^= swapped;
            vectors[i] ^= swapped << s;
        }
    }
}

// One byte of each of TILE elements, from its 8 planes, which begin at `planes` and are `groups` bytes apart.
INLINE void bytes_of(const unsigned char *planes, size_t groups, Bytes *elements)
{
    Words turned[8];
    UNROLLED for (size_t k = 0; k < 8; k++) memcpy(turned + k, planes + k * groups, WIDTH);
    transpose(turned);
    memcpy(elements, turned, TILE);
    interleave(elements, 8);
}

INLINE void planes_of(const Bytes *elements, size_t groups, unsigned char *planes)
{
    Bytes bytes[8];
    Words turned[8];
    memcpy(bytes, elements, TILE);
    deinterleave(bytes, 8);
    memcpy(turned, bytes, TILE);
    transpose(turned);
    UNROLLED for (size_t k = 0; k < 8; k++) memcpy(planes + k * groups, turned + k, WIDTH);
}

// Unshuffle TILE elements of `size` bytes, a power of two and at most WIDTH.
INLINE void unshuffle_tile(const unsigned char *planes, unsigned char *elements, size_t groups, size_t size)
{
    Bytes bytes[WIDTH][8], row[WIDTH];
    for (size_t j = 0; j < size; j++) bytes_of(planes + 8 * j * groups, groups, bytes[j]);
    for (size_t i = 0; i < 8; i++) {
        UNROLLED for (size_t j = 0; j < size; j++) row[j] = bytes[j][i];
        interleave(row, size);
        memcpy(elements + i * size * WIDTH, row, size * WIDTH);
    }
}

INLINE void shuffle_tile(const unsigned char *elements, unsigned char *planes, size_t groups, size_t size)
{
    Bytes bytes[WIDTH][8], row[WIDTH];
    for (size_t i = 0; i < 8; i++) {
        memcpy(row, elements + i * size * WIDTH, size * WIDTH);
        deinterleave(row, size);
        UNROLLED for (size_t j = 0; j < size; j++) bytes[j][i] = row[j];
    }
    for (size_t j = 0; j < size; j++) planes_of(bytes[j], groups, planes + 8 * j * groups);
}

// The same for elements of any size, byte by byte.
static void unshuffle_odd_tile(const unsigned char *planes, unsigned char *elements, size_t groups, size_t size)
{
    Bytes bytes[8];
    for (size_t j = 0; j < size; j++) {
        bytes_of(planes + 8 * j * groups, groups, bytes);
        for (size_t e = 0; e < TILE; e++) elements[e * size + j] = ((unsigned char *)bytes)[e];
    }
}

static void shuffle_odd_tile(const unsigned char *elements, unsigned char *planes, size_t groups, size_t size)
{
    Bytes bytes[8];
    for (size_t j = 0; j < size; j++) {
        for (size_t e = 0; e < TILE; e++) ((unsigned char *)bytes)[e] = elements[e * size + j];
        planes_of(bytes, groups, planes + 8 * j * groups);
    }
}

// The 8 x 8 bits of a word, transposed.
static uint64_t transposed(uint64_t x)
{
    uint64_t t = (x ^ x >> 7) & 0x00aa00aa00aa00aau;
    x ^= t ^ t << 7;
    t = (x ^ x >> 14) & 0x0000cccc0000ccccu;
    x ^= t ^ t << 14;
    t = (x ^ x >> 28) & 0x00000000f0f0f0f0u;
    return x ^ t ^ t << 28;
}

// Unshuffle 8 elements, from one byte of each plane; that of the first plane is at `planes`.
static void unshuffle_group(const unsigned char *planes, unsigned char *elements, size_t groups, size_t size)
{
    for (size_t j = 0; j < size; j++) {
        uint64_t word = 0;
        for (size_t k = 0; k < 8; k++) word |= (uint64_t)planes[(8 * j + k) * groups] << 8 * k;
        word = transposed(word);
        for (size_t e = 0; e < 8; e++) elements[e * size + j] = (unsigned char)(word >> 8 * e);
    }
}

static void shuffle_group(const unsigned char *elements, unsigned char *planes, size_t groups, size_t size)
{
    for (size_t j = 0; j < size; j++) {
        uint64_t word = 0;
        for (size_t e = 0; e < 8; e++) word |= (uint64_t)elements[e * size + j] << 8 * e;
        word = transposed(word);
        for (size_t k = 0; k < 8; k++) planes[(8 * j + k) * groups] = (unsigned char)(word >> 8 * k);
    }
}

#define TILES(function, from, to, step, other, size) \
    for (; g + WIDTH <= groups; g += WIDTH) function(from + g * step, to + g * other, groups, size)

void unshuffle_bits(const unsigned char *planes, unsigned char *elements, size_t groups, size_t size)
{
    size_t g = 0, step = 8 * size;
    switch (size) {
    case 1: TILES(unshuffle_tile, planes, elements, 1, step, 1); break;
    case 2: TILES(unshuffle_tile, planes, elements, 1, step, 2); break;
    case 4: TILES(unshuffle_tile, planes, elements, 1, step, 4); break;
    case 8: TILES(unshuffle_tile, planes, elements, 1, step, 8); break;
    case 16: TILES(unshuffle_tile, planes, elements, 1, step, 16); break;
    default: TILES(unshuffle_odd_tile, planes, elements, 1, step, size);
    }
    for (; g < groups; g++) unshuffle_group(planes + g, elements + g * step, groups, size);
}

void shuffle_bits(const unsigned char *elements, unsigned char *planes, size_t groups, size_t size)
{
    size_t g = 0, step = 8 * size;
    switch (size) {
    case 1: TILES(shuffle_tile, elements, planes, step, 1, 1); break;
    case 2: TILES(shuffle_tile, elements, planes, step, 1, 2); break;
    case 4: TILES(shuffle_tile, elements, planes, step, 1, 4); break;
    case 8: TILES(shuffle_tile, elements, planes, step, 1, 8); break;
    case 16: TILES(shuffle_tile, elements, planes, step, 1, 16); break;
    default: TILES(shuffle_odd_tile, elements, planes, step, 1, size);
    }
    for (; g < groups; g++) shuffle_group(elements + g * step, planes + g, groups, size);
}
