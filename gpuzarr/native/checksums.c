#include "native.h"

// Fletcher-32 as HDF5 and numcodecs have it: words of two bytes, the first one the higher; an odd byte at the end is the
// higher one of a last word.
enum { WORDS = 360 };  // of which no sum overflows

static uint32_t folded(uint32_t sum)
{
    return (sum & 0xffff) + (sum >> 16);
}

// A function for gpuzarr_checksums.
EXPORT uint32_t gpuzarr_fletcher32(const unsigned char *data, size_t nbytes)
{
    uint32_t first = 0, second = 0;
    for (size_t words = nbytes / 2; words;) {
        size_t here = words < WORDS ? words : WORDS;
        for (size_t i = 0; i < here; i++, data += 2) {
            first += (uint32_t)data[0] << 8 | data[1];
            second += first;
        }
        first = folded(first), second = folded(second), words -= here;
    }
    if (nbytes % 2) {
        first += (uint32_t)data[0] << 8;
        second += first;
        first = folded(first), second = folded(second);
    }
    return folded(second) << 16 | folded(first);
}

// Jenkins' lookup3 (hashlittle). Source: http://burtleburtle.net/bob/c/lookup3.c
enum { STEP = 12 };  // bytes

static uint32_t rotated(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static uint32_t word_at(const unsigned char *data)
{
    return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static void mix(uint32_t *s)
{
    static const int BITS[] = {4, 6, 8, 16, 19, 4};
    for (int i = 0; i < 6; i++) {
        uint32_t *a = s + i % 3, *b = s + (i + 1) % 3, *c = s + (i + 2) % 3;
        *a -= *c, *a ^= rotated(*c, BITS[i]), *c += *b;
    }
}

static void finish(uint32_t *s)
{
    static const int BITS[] = {14, 11, 25, 16, 4, 14, 24};
    for (int i = 0; i < 7; i++) {
        uint32_t *c = s + (i + 2) % 3, *b = s + (i + 1) % 3;
        *c ^= *b, *c -= rotated(*b, BITS[i]);
    }
}

// The hash of `total` bytes: `before` ones of `prefix`, then `data`. What is missing of the last step is zero.
static uint32_t jenkins(const unsigned char *prefix, i64 before, const unsigned char *data, i64 total, uint32_t initval)
{
    uint32_t start = 0xdeadbeefu + (uint32_t)total + initval, s[] = {start, start, start};
    for (i64 at = 0; at < total; at += STEP) {
        unsigned char copied[STEP] = {0};
        const unsigned char *step = copied;
        if (at >= before && total - at >= STEP) step = data + (at - before);
        else
            for (i64 i = at; i < at + STEP && i < total; i++) copied[i - at] = i < before ? prefix[i] : data[i - before];
        for (int i = 0; i < 3; i++) s[i] += word_at(step + 4 * i);
        if (total - at > STEP) mix(s);
        else finish(s);
    }
    return s[2];
}

// The hashes of n runs of bytes, each behind the same `before` bytes of `prefix`.
EXPORT void gpuzarr_jenkins_lookup3(i64 n, const i64 *address, const i64 *nbytes, const unsigned char *prefix, i64 before,
                                    i64 initval, uint32_t *found)
{
    for (i64 i = 0; i < n; i++)
        found[i] = jenkins(prefix, before, (const unsigned char *)(intptr_t)address[i], before + nbytes[i], (uint32_t)initval);
}
