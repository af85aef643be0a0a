#include "call.h"

typedef size_t (*Zstd)(void *context, void *target, size_t capacity, const void *source, size_t size);
typedef int (*BloscDecode)(const void *source, void *target, size_t capacity, int threads);
typedef int (*BloscEncode)(int level, int shuffle, size_t element, size_t nbytes, const void *source, void *target,
                           size_t capacity, const char *name, size_t block, int threads);

// The bytes that a chunk becomes; an error if they are more than its room, or negative.
i64 call(const Call *of, i64 target, i64 capacity, i64 source, i64 size)
{
    void *to = (void *)(intptr_t)target;
    const void *from = (const void *)(intptr_t)source;
    switch (of->kind) {
    case ZSTD:
        return (i64)((Zstd)of->function)(of->context, to, (size_t)capacity, from, (size_t)size);
    case BLOSC_DECODE:
        return ((BloscDecode)of->function)(from, to, (size_t)capacity, 1);
    default:
        return ((BloscEncode)of->function)((int)of->level, (int)of->shuffle,
                                           size && size % of->element == 0 ? (size_t)of->element : 1, (size_t)size, from,
                                           to, (size_t)capacity, of->name, (size_t)of->block, 1);
    }
}

int succeeded(const Call *of, i64 made, i64 capacity)
{
    return of->exact ? made == capacity : made > 0 && made <= capacity;
}

// Decode or encode n chunks, each from `size` bytes at `source` to at most `capacity` bytes at `target`; made[i] are the
// bytes that it became. Returns how many went well before the first that did not.
EXPORT i64 gpuzarr_call(const Call *of, i64 n, const i64 *target, const i64 *capacity, const i64 *source, const i64 *size,
                        i64 *made)
{
    for (i64 i = 0; i < n; i++) {
        made[i] = call(of, target[i], capacity[i], source[i], size[i]);
        if (!succeeded(of, made[i], capacity[i])) return i;
    }
    return n;
}
