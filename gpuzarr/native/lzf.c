#include <string.h>
#include "lzf.h"

enum { LONG = 7, MIN_MATCH = 3, MAX_MATCH = 264, MAX_LITERALS = 32, MAX_DISTANCE = 1 << 13, HASH_BITS = 13, QUICK = 16 };

// Copy `n` bytes to `to` from `distance` bytes before it, as if one by one. `room` bytes may be written.
static void repeat(unsigned char *to, i64 distance, i64 n, i64 room)
{
    const unsigned char *from = to - distance;
    if (distance >= QUICK && n <= QUICK && room >= QUICK) memcpy(to, from, QUICK);
    else if (distance >= n) memcpy(to, from, (size_t)n);
    else if (distance == 1) memset(to, *from, (size_t)n);
    else for (i64 i = 0; i < n; i++) to[i] = from[i];
}

// Whether a chunk begins with a header that declares `nbytes`, if it is to have one.
static int has_header(const Call *of, const unsigned char *source, i64 size, i64 nbytes)
{
    if (!of->element) return 1;
    if (size < of->element || nbytes > UINT32_MAX) return 0;
    for (i64 i = 0; i < of->element; i++)
        if (source[i] != (unsigned char)(nbytes >> 8 * i)) return 0;
    return 1;
}

// Decode a chunk to exactly `nbytes` bytes. Returns `nbytes`; -1 if the chunk is damaged. `element` of the call: bytes
// of the header, which is the decoded size (uint32, little-endian); 0 if there is none.
i64 decode_lzf(const Call *of, unsigned char *target, i64 nbytes, const unsigned char *source, i64 size)
{
    const unsigned char *at = source + of->element, *end = source + size;
    unsigned char *to = target, *last = target + nbytes;
    if (!has_header(of, source, size, nbytes)) return -1;
    while (at < end) {
        i64 token = *at++, n = token + 1;
        if (token < MAX_LITERALS) {
            if (n > end - at || n > last - to) return -1;
            if (n <= QUICK && end - at >= QUICK && last - to >= QUICK) memcpy(to, at, QUICK);
            else memcpy(to, at, (size_t)n);
            at += n;
        } else {
            n = token >> 5;
            if (n == LONG) {
                if (at == end) return -1;
                n += *at++;
            }
            if (at == end) return -1;
            i64 distance = ((token & 31) << 8) + *at++ + 1;
            n += MIN_MATCH - 1;
            if (distance > to - target || n > last - to) return -1;
            repeat(to, distance, n, last - to);
        }
        to += n;
    }
    return to == last ? nbytes : -1;
}

// Write `n` literals. Returns where they end; NULL if they do not fit.
static unsigned char *put_literals(unsigned char *to, unsigned char *end, const unsigned char *from, i64 n)
{
    for (i64 here; n; n -= here, from += here, to += here) {
        here = n < MAX_LITERALS ? n : MAX_LITERALS;
        if (here + 1 > end - to) return NULL;
        *to++ = (unsigned char)(here - 1);
        memcpy(to, from, (size_t)here);
    }
    return to;
}

static unsigned char *put_match(unsigned char *to, unsigned char *end, i64 distance, i64 n)
{
    if (end - to < 3) return NULL;
    i64 length = n - MIN_MATCH + 1;
    *to++ = (unsigned char)((length < LONG ? length : LONG) << 5 | (distance - 1) >> 8);
    if (length >= LONG) *to++ = (unsigned char)(length - LONG);
    *to++ = (unsigned char)(distance - 1);
    return to;
}

static uint32_t hash(const unsigned char *at)
{
    uint32_t word = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
    return word * 0x9e3779b1u >> (32 - HASH_BITS);
}

// Encode a chunk. Returns the bytes that it becomes, at most `capacity`; -1 if they do not fit.
i64 encode_lzf(const Call *of, unsigned char *target, i64 capacity, const unsigned char *source, i64 nbytes)
{
    uint32_t seen[1 << HASH_BITS] = {0};  // by the hash of three bytes: where they were last
    unsigned char *to = target + of->element, *end = target + capacity;
    if (capacity < of->element || (of->element && nbytes > UINT32_MAX)) return -1;
    for (i64 i = 0; i < of->element; i++) target[i] = (unsigned char)(nbytes >> 8 * i);
    i64 at = 0, done = 0;
    while (to && at + MIN_MATCH <= nbytes) {
        uint32_t *place = seen + hash(source + at), distance = (uint32_t)at - *place;
        *place = (uint32_t)at;
        if (!distance || distance > MAX_DISTANCE || distance > at || memcmp(source + at, source + at - distance, MIN_MATCH)) {
            at++;
            continue;
        }
        i64 n = MIN_MATCH, most = nbytes - at < MAX_MATCH ? nbytes - at : MAX_MATCH;
        while (n < most && source[at + n] == source[at + n - distance]) n++;
        to = put_literals(to, end, source + done, at - done);
        if (to) to = put_match(to, end, distance, n);
        done = at += n;
    }
    if (to) to = put_literals(to, end, source + done, nbytes - done);
    return to ? to - target : -1;
}
