// Boxes of one shape in an array whose chunks all have one shape.
#include <stdlib.h>
#include <string.h>
#include "place.h"

enum { SPARSE = 8 };  // numbers in a range this many times as long as they are many are sorted, not marked

// `extents`: of each box; `chunk`: the shape of a chunk; `grid`: how many there are along each axis; `starts`: the first
// element of each box. A chunk's number counts chunks in C order.
typedef struct {
    i64 axes, item;
    const i64 *extents, *chunk, *grid, *starts;
} Corners;

// The chunks of one box: the first one along each axis, and how many. `at`: where a walk over them is.
typedef struct {
    i64 first[MAX_AXES], count[MAX_AXES], at[MAX_AXES];
} Walk;

// Go to the first chunk of a box. Returns how many there are.
static i64 begin(Walk *walk, const Corners *of, i64 box)
{
    const i64 *start = of->starts + box * of->axes;
    i64 chunks = 1;
    for (i64 axis = 0; axis < of->axes; axis++) {
        walk->first[axis] = start[axis] / of->chunk[axis];
        i64 last = (start[axis] + of->extents[axis] - 1) / of->chunk[axis];
        walk->count[axis] = of->extents[axis] ? last - walk->first[axis] + 1 : 0;
        walk->at[axis] = 0;
        chunks *= walk->count[axis];
    }
    return chunks;
}

static i64 number(const Walk *walk, const Corners *of)
{
    i64 found = 0;
    for (i64 axis = 0; axis < of->axes; axis++) found = found * of->grid[axis] + walk->first[axis] + walk->at[axis];
    return found;
}

// Go to the next chunk, in C order. Returns 0 behind the last.
static int next(Walk *walk, const Corners *of)
{
    for (i64 axis = of->axes; axis--;) {
        if (++walk->at[axis] < walk->count[axis]) return 1;
        walk->at[axis] = 0;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    i64 x = *(const i64 *)a, y = *(const i64 *)b;
    return (x > y) - (x < y);
}

// The same numbers, ascending and each once. Returns how many. `marks`: room for a byte for each from `low` to `high`.
static i64 distinct(i64 *numbers, i64 n, i64 low, i64 high, unsigned char *marks)
{
    i64 found = 0;
    if (marks) {
        for (i64 i = 0; i < n; i++) marks[numbers[i] - low] = 1;
        for (i64 i = 0; i <= high - low; i++)
            if (marks[i]) numbers[found++] = low + i;
        return found;
    }
    qsort(numbers, (size_t)n, sizeof *numbers, compare);
    for (i64 i = 0; i < n; i++)
        if (!i || numbers[i] != numbers[found - 1]) numbers[found++] = numbers[i];
    return found;
}

// The numbers of the chunks that boxes `first` to `last` - 1 touch, ascending and each once. Returns how many.
static i64 touched(const Corners *of, i64 first, i64 last, i64 *numbers)
{
    Walk walk;
    i64 n = 0, low = INT64_MAX, high = -1;
    for (i64 box = first; box < last; box++) {
        if (!begin(&walk, of, box)) continue;
        do {
            i64 found = number(&walk, of);
            if (n && found == numbers[n - 1]) continue;
            numbers[n++] = found;
            low = found < low ? found : low, high = found > high ? found : high;
        } while (next(&walk, of));
    }
    if (!n) return 0;
    unsigned char *marks = high - low < SPARSE * n ? calloc((size_t)(high - low + 1), 1) : NULL;
    n = distinct(numbers, n, low, high, marks);
    free(marks);
    return n;
}

// The same for groups of boxes, one after another, which begin and end at `edges`, and in `counts` how many chunks each
// touches. Where `numbers` is NULL, it returns for how many there must be room.
EXPORT i64 gpuzarr_touched(const Corners *of, i64 groups, const i64 *edges, i64 *numbers, i64 *counts)
{
    Walk walk;
    i64 n = 0;
    if (!numbers)
        for (i64 box = edges[0]; box < edges[groups]; box++) n += begin(&walk, of, box);
    else
        for (i64 group = 0; group < groups; group++)
            n += counts[group] = touched(of, edges[group], edges[group + 1], numbers + n);
    return n;
}

// The address of a chunk; 0 if it is not there. `numbers` ascend.
static i64 address_of(i64 chunk, i64 count, const i64 *numbers, const i64 *addresses)
{
    i64 low = 0;
    for (i64 high = count; low < high;) {
        i64 middle = low + (high - low) / 2;
        if (numbers[middle] < chunk) low = middle + 1;
        else high = middle;
    }
    return low < count && numbers[low] == chunk ? addresses[low] : 0;
}

// Copy boxes `first` to `last` - 1 out of `count` chunks, which lie in C order at `addresses`, to `target`, where boxes lie
// side by side in C order: one after another, or each to its place, places[0] being that of the first. Of all that is
// copied it does one of so many equal `parts`. Returns 0, or 1 where a chunk is not there.
EXPORT i64 gpuzarr_cut(const Corners *of, i64 first, i64 last, const i64 *places, i64 count, const i64 *numbers,
                       const i64 *addresses, char *target, i64 part, i64 parts)
{
    Walk walk;
    i64 turn = 0;
    i64 extents[MAX_AXES], sources[MAX_AXES], targets[MAX_AXES], box_bytes = of->item, chunk_bytes = of->item;
    for (i64 axis = of->axes; axis--;) {
        targets[axis] = box_bytes, sources[axis] = chunk_bytes;
        box_bytes *= of->extents[axis], chunk_bytes *= of->chunk[axis];
    }
    for (i64 box = first; box < last; box++) {
        const i64 *start = of->starts + box * of->axes;
        if (!begin(&walk, of, box)) continue;
        do {
            if (turn++ % parts != part) continue;
            i64 address = address_of(number(&walk, of), count, numbers, addresses), zero = 0;
            i64 to = (i64)(intptr_t)target + (places ? places[box - first] : box - first) * box_bytes;
            if (!address) return 1;
            for (i64 axis = 0; axis < of->axes; axis++) {
                i64 edge = (walk.first[axis] + walk.at[axis]) * of->chunk[axis], end = edge + of->chunk[axis];
                i64 low = start[axis] > edge ? start[axis] : edge, high = start[axis] + of->extents[axis];
                extents[axis] = (high < end ? high : end) - low;
                address += (low - edge) * sources[axis];
                to += (low - start[axis]) * targets[axis];
            }
            Boxes one = {of->axes, of->item, &zero, &zero, &to, &zero, extents, sources, targets, NULL, NULL};
            gpuzarr_place(&one, 0, 1, 0, &address);
        } while (next(&walk, of));
    }
    return 0;
}
