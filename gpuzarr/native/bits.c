#include "native.h"

// The 8 x 8 bits of a word, with rows and columns exchanged. Source: Hacker's Delight, 7-3.
static uint64_t transposed(uint64_t x)
{
    uint64_t t = (x ^ x >> 7) & 0x00aa00aa00aa00aau;
    x ^= t ^ t << 7;
    t = (x ^ x >> 14) & 0x0000cccc0000ccccu;
    x ^= t ^ t << 14;
    t = (x ^ x >> 28) & 0x00000000f0f0f0f0u;
    return x ^ t ^ t << 28;
}

// Unshuffle the bits of one block: `groups` times 8 elements of `size` bytes. Bit k of byte j of all elements is plane
// 8 * j + k, of `groups` bytes.
static void unshuffle(const unsigned char *planes, unsigned char *target, size_t groups, size_t size)
{
    for (size_t j = 0; j < size; j++, planes += 8 * groups) {
        unsigned char *to = target + j;
        for (size_t g = 0; g < groups; g++, to += 8 * size) {
            uint64_t word = 0;
            for (size_t k = 0; k < 8; k++) word |= (uint64_t)planes[k * groups + g] << 8 * k;
            word = transposed(word);
            for (size_t e = 0; e < 8; e++) to[e * size] = (unsigned char)(word >> 8 * e);
        }
    }
}

// Unshuffle `nbytes` bytes in blocks of `block` bytes, of which the last may be shorter. All are multiples of 8 * size.
EXPORT void gpuzarr_bitunshuffle(const unsigned char *planes, unsigned char *target, i64 nbytes, i64 block, i64 size)
{
    for (i64 at = 0; at < nbytes; at += block) {
        i64 here = nbytes - at < block ? nbytes - at : block;
        unshuffle(planes + at, target + at, (size_t)(here / size / 8), (size_t)size);
    }
}
