#include <string.h>
#include "native.h"

// Copy elements between arrays of other strides, also to the other byte order. Elements that are neighbours in both are
// copied as rows of bytes. Else two axes matter: the one whose elements are neighbours in the target, and the one whose
// are in the source. If these are two, tiles of both are copied through a buffer, so that each line of the cache is read
// and written once.

enum { TILE = 32, CROWDED = 512, AHEAD = 8, LINE = 64, MAX_FETCHED = 1024 };

typedef struct {
    i64 count, from, to;  // elements, and bytes from one to the next in the source and in the target
} Axis;

static i64 magnitude(i64 step)
{
    return step < 0 ? -step : step;
}

static uint16_t swap2(uint16_t word) { return __builtin_bswap16(word); }
static uint32_t swap4(uint32_t word) { return __builtin_bswap32(word); }
static uint64_t swap8(uint64_t word) { return __builtin_bswap64(word); }
#define KEEP(word) word

// Functions for elements of one width: a run of them, and a tile, `rows` along the target's axis.
#define COPIES(name, word, CHANGE)                                                                                     \
    static void run_##name(char *target, const char *source, const Axis *of)                                           \
    {                                                                                                                  \
        for (i64 i = 0; i < of->count; i++) {                                                                          \
            word value;                                                                                                \
            memcpy(&value, source + i * of->from, sizeof value);                                                       \
            value = CHANGE(value);                                                                                     \
            memcpy(target + i * of->to, &value, sizeof value);                                                         \
        }                                                                                                              \
    }                                                                                                                  \
    static void tile_##name(char *target, const char *source, const Axis *near, const Axis *far, i64 rows, i64 columns) \
    {                                                                                                                  \
        word tile[TILE][TILE];                                                                                         \
        i64 step = far->from;                                                                                          \
        for (i64 i = 0; i < rows; i++) {                                                                               \
            const char *row = source + i * near->from;                                                                 \
            if (step == sizeof(word))                                                                                  \
                memcpy(tile[i], row, (size_t)columns * sizeof(word));                                                  \
            else                                                                                                       \
                for (i64 j = 0; j < columns; j++) memcpy(&tile[i][j], row + j * step, sizeof(word));                   \
        }                                                                                                              \
        for (i64 j = 0; j < columns; j++)                                                                              \
            for (i64 i = 0; i < rows; i++) {                                                                           \
                word value = CHANGE(tile[i][j]);                                                                       \
                memcpy(target + i * near->to + j * far->to, &value, sizeof value);                                     \
            }                                                                                                          \
    }                                                                                                                  \
    static void pass_##name(char *target, const char *source, const Axis *near, const Axis *far, i64 rows, i64 columns) \
    {                                                                                                                  \
        for (i64 j = 0; j < columns; j++) {                                                                            \
            Axis run = {rows, near->from, near->to};                                                                   \
            run_##name(target + j * far->to, source + j * far->from, &run);                                            \
        }                                                                                                              \
    }

COPIES(1, uint8_t, KEEP)
COPIES(2, uint16_t, KEEP)
COPIES(4, uint32_t, KEEP)
COPIES(8, uint64_t, KEEP)
COPIES(swapped2, uint16_t, swap2)
COPIES(swapped4, uint32_t, swap4)
COPIES(swapped8, uint64_t, swap8)

typedef void (*Run)(char *, const char *, const Axis *);
typedef void (*Tile)(char *, const char *, const Axis *, const Axis *, i64, i64);

static void copy(char *target, const char *source, const Axis *axes, int count, int tiled, Run run, Tile tile)
{
    if (count > 1 + tiled) {
        for (i64 i = 0; i < axes->count; i++)
            copy(target + i * axes->to, source + i * axes->from, axes + 1, count - 1, tiled, run, tile);
        return;
    }
    if (!tiled) {
        run(target, source, axes);
        return;
    }
    const Axis *far = axes, *near = axes + 1;
    for (i64 j = 0; j < far->count; j += TILE)
        for (i64 i = 0; i < near->count; i += TILE)
            tile(target + i * near->to + j * far->to, source + i * near->from + j * far->from, near, far,
                 near->count - i < TILE ? near->count - i : TILE, far->count - j < TILE ? far->count - j : TILE);
}

// Have the cache fetch what is copied a few rows later: processors foresee no rows that lie far apart.
static void fetch(const char *row, i64 step, i64 bytes)
{
    if (bytes > MAX_FETCHED || magnitude(step) <= bytes) return;
    for (i64 i = 0; i < bytes; i += LINE) __builtin_prefetch(row + AHEAD * step + i);
}

// Copy rows of bytes; the rows are the last axis.
static void copy_rows(char *target, const char *source, const Axis *axes, int count, i64 bytes)
{
    if (!count) {
        memcpy(target, source, (size_t)bytes);
        return;
    }
    for (i64 i = 0; i < axes->count; i++, target += axes->to, source += axes->from) {
        if (count > 1) {
            copy_rows(target, source, axes + 1, count - 1, bytes);
            continue;
        }
        if (i + AHEAD < axes->count) {
            fetch(source, axes->from, bytes);
            fetch(target, axes->to, bytes);
        }
        memcpy(target, source, (size_t)bytes);
    }
}

// Bytes that are neighbours in both; the axes of these are taken from the form.
static i64 row_of(const Axis *form, int *n, i64 item)
{
    i64 bytes = item;
    for (; *n && form[*n - 1].from == bytes && form[*n - 1].to == bytes; --*n) bytes *= form[*n - 1].count;
    return bytes;
}

// Copy an array of `axes` > 0 axes, at most 64; `swapped`: elements of 2, 4 or 8 bytes to the other byte order.
EXPORT void gpuzarr_turn(i64 axes, const i64 *counts, const i64 *from, const i64 *to, i64 item, i64 swapped,
                         const char *source, char *target)
{
    static const Run runs[] = {run_1, run_2, run_4, run_8, run_1, run_swapped2, run_swapped4, run_swapped8};
    static const Tile passes[] = {pass_1, pass_2, pass_4, pass_8, pass_1, pass_swapped2, pass_swapped4, pass_swapped8};
    static const Tile tiles[] = {tile_1, tile_2, tile_4, tile_8, tile_1, tile_swapped2, tile_swapped4, tile_swapped8};
    Axis form[MAX_AXES] = {{0}};
    int n = 0, nearest = 0;
    for (i64 i = 0; i < axes; i++) {  // those that are far apart in the target first
        if (counts[i] == 1 && n + (axes - i) > 1) continue;
        int at = n++;
        for (; at && magnitude(form[at - 1].to) < magnitude(to[i]); at--) form[at] = form[at - 1];
        form[at] = (Axis){counts[i], from[i], to[i]};
    }
    i64 row = swapped ? item : row_of(form, &n, item);
    if (row > item || !n || (item != 1 && item != 2 && item != 4 && item != 8)) {
        copy_rows(target, source, form, n, row);
        return;
    }
    for (int i = 1; i < n; i++)
        if (magnitude(form[i].from) <= magnitude(form[nearest].from)) nearest = i;
    int tiled = nearest != n - 1;
    if (tiled) {  // that of the source becomes the last but one
        Axis moved = form[nearest];
        for (int i = nearest; i < n - 2; i++) form[i] = form[i + 1];
        form[n - 2] = moved;
    }
    int crowded = tiled && magnitude(form[n - 1].from) % CROWDED == 0;  // its lines take each other's place in the cache
    int kind = (item == 8 ? 3 : item == 4 ? 2 : item == 2 ? 1 : 0) + (swapped ? 4 : 0);
    copy(target, source, form, n, tiled, runs[kind], crowded ? tiles[kind] : passes[kind]);
}
