#include <string.h>
#include "native.h"

enum { MAX_AXES = 64 };

// The axes of a box, the outermost first, and the bytes that are copied at each of their steps.
typedef struct {
    int axes;
    i64 extents[MAX_AXES], sources[MAX_AXES], targets[MAX_AXES], run;
} Form;

static i64 magnitude(i64 step)
{
    return step < 0 ? -step : step;
}

// Order the axes by their steps in the result, and join those that are one run of bytes in both.
static void simplify(Form *form, int axes, const i64 *extents, const i64 *sources, const i64 *targets, i64 item)
{
    form->axes = 0;
    form->run = item;
    for (int axis = 0; axis < axes; axis++) {
        if (extents[axis] == 1) continue;
        int at = form->axes++;
        for (; at && magnitude(form->targets[at - 1]) < magnitude(targets[axis]); at--) {
            form->extents[at] = form->extents[at - 1];
            form->sources[at] = form->sources[at - 1];
            form->targets[at] = form->targets[at - 1];
        }
        form->extents[at] = extents[axis];
        form->sources[at] = sources[axis];
        form->targets[at] = targets[axis];
    }
    while (form->axes && form->sources[form->axes - 1] == form->run && form->targets[form->axes - 1] == form->run)
        form->run *= form->extents[--form->axes];
}

#define COPY_ROW(bytes) \
    for (i64 i = 0; i < count; i++) memcpy(target + i * to, source + i * from, bytes);

// Copy `count` runs of bytes.
static void copy_row(char *target, const char *source, i64 count, i64 to, i64 from, i64 run)
{
    switch (run) {
    case 1: COPY_ROW(1) break;
    case 2: COPY_ROW(2) break;
    case 4: COPY_ROW(4) break;
    case 8: COPY_ROW(8) break;
    case 16: COPY_ROW(16) break;
    default: COPY_ROW((size_t)run)
    }
}

static void copy(char *target, const char *source, const Form *form)
{
    i64 at[MAX_AXES] = {0};
    int last = form->axes - 1;
    if (last < 0) {
        memcpy(target, source, (size_t)form->run);
        return;
    }
    for (;;) {
        copy_row(target, source, form->extents[last], form->targets[last], form->sources[last], form->run);
        int axis = last - 1;
        for (; axis >= 0; axis--) {
            target += form->targets[axis];
            source += form->sources[axis];
            if (++at[axis] < form->extents[axis]) break;
            target -= form->extents[axis] * form->targets[axis];
            source -= form->extents[axis] * form->sources[axis];
            at[axis] = 0;
        }
        if (axis < 0) return;
    }
}

// Copy n boxes of elements of `item` bytes. Box i begins at the addresses source[i] and target[i] (source 0: nothing is
// copied) and has the shape shape[i]: so many elements (none 0), at so many bytes from each other there and there, along
// each of at most 64 axes.
EXPORT void gpuzarr_place(i64 n, const i64 *source, const i64 *target, const i64 *shape, i64 axes, const i64 *extents,
                          const i64 *sources, const i64 *targets, i64 item)
{
    Form form = {.axes = 0};
    i64 of = -1;
    for (i64 i = 0; i < n; i++) {
        if (!source[i]) continue;
        if (shape[i] != of) {
            of = shape[i];
            simplify(&form, (int)axes, extents + of * axes, sources + of * axes, targets + of * axes, item);
        }
        copy((char *)(intptr_t)target[i], (const char *)(intptr_t)source[i], &form);
    }
}
