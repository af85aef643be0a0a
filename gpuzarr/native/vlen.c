// Elements of variable length, each after its length (uint32, little-endian), to rows of one width: of bytes, or of the
// code points of UTF-8. See gpuzarr/cpu/vlen_rows.py.
#include <string.h>
#include "native.h"

enum { NUMBER = 4 };  // bytes of a length
enum { BYTES, UTF8 };

static i64 length_at(const unsigned char *at)
{
    return (i64)((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
}

static int follows(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

// The code point of the UTF-8 at `*at`, which then points after it; negative if it is not valid (The Unicode Standard,
// table 3-7).
static int32_t character(const unsigned char **at, const unsigned char *end)
{
    const unsigned char *p = *at;
    const uint32_t first = p[0];
    const i64 left = end - p;
    if (first < 0x80) return *at = p + 1, (int32_t)first;
    if (first >= 0xc2 && first < 0xe0 && left > 1 && follows(p[1]))
        return *at = p + 2, (int32_t)((first & 0x1f) << 6 | (p[1] & 0x3f));
    if (first >= 0xe0 && first < 0xf0 && left > 2 && follows(p[1]) && follows(p[2])) {
        const uint32_t found = (first & 0xf) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3f);
        if (found < 0x800 || (found >= 0xd800 && found < 0xe000)) return -1;
        return *at = p + 3, (int32_t)found;
    }
    if (first >= 0xf0 && first < 0xf5 && left > 3 && follows(p[1]) && follows(p[2]) && follows(p[3])) {
        const uint32_t found = (first & 7) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 | (p[3] & 0x3f);
        if (found < 0x10000 || found > 0x10ffff) return -1;
        return *at = p + 4, (int32_t)found;
    }
    return -1;
}

// How many code points an element has; negative if it is not valid UTF-8.
static i64 characters(const unsigned char *at, i64 size)
{
    const unsigned char *end = at + size;
    i64 count = 0;
    uint32_t high = 0;
    for (i64 i = 0; i < size; i++) high |= at[i];
    if (high < 0x80) return size;
    for (; at < end; count++)
        if (character(&at, end) < 0) return -1;
    return count;
}

// Look at all `count` elements in `size` bytes. Returns 0 if they do not take exactly these bytes; 2 if rows can hold
// them, as none ends with a zero, which rows do not keep, and those of `kind` UTF8 are valid; else 1. found: the most
// bytes of an element, and the most code points.
EXPORT i64 gpuzarr_vlen_measure(const unsigned char *chunk, i64 size, i64 count, i64 kind, i64 *found)
{
    i64 at = 0, fits = 2;
    found[0] = found[1] = 0;
    for (i64 i = 0; i < count; i++) {
        if (size - at < NUMBER) return 0;
        const i64 nbytes = length_at(chunk + at);
        at += NUMBER;
        if (nbytes > size - at) return 0;
        if (nbytes && !chunk[at + nbytes - 1]) fits = 1;
        const i64 length = kind == UTF8 ? characters(chunk + at, nbytes) : nbytes;
        if (length < 0) fits = 1;
        if (nbytes > found[0]) found[0] = nbytes;
        if (length > found[1]) found[1] = length;
        at += nbytes;
    }
    return at == size ? fits : 0;
}

// Write the next `count` elements of a chunk as rows of `width` bytes; gpuzarr_vlen_measure has returned 2 for it.
// Returns the address of the element after them.
EXPORT i64 gpuzarr_vlen_bytes(const unsigned char *at, i64 count, i64 width, char *rows)
{
    for (i64 i = 0; i < count; i++, rows += width) {
        const i64 nbytes = length_at(at);
        memcpy(rows, at + NUMBER, (size_t)nbytes);
        memset(rows + nbytes, 0, (size_t)(width - nbytes));
        at += NUMBER + nbytes;
    }
    return (i64)(intptr_t)at;
}

// The same with rows of `width` code points, native uint32.
EXPORT i64 gpuzarr_vlen_characters(const unsigned char *at, i64 count, i64 width, uint32_t *rows)
{
    for (i64 i = 0; i < count; i++, rows += width) {
        const unsigned char *end = at + NUMBER + length_at(at);
        i64 length = 0;
        for (at += NUMBER; at < end; length++) rows[length] = (uint32_t)character(&at, end);
        memset(rows + length, 0, (size_t)(width - length) * sizeof *rows);
    }
    return (i64)(intptr_t)at;
}
