#include <string.h>
#include "place.h"
#include "read.h"

// The axes of a box, the outermost first, and the bytes that are copied at each of their steps.
typedef struct {
    int axes;
    i64 extents[MAX_AXES], sources[MAX_AXES], targets[MAX_AXES], run;
    const i64 *lists[MAX_AXES];  // of an axis without steps, for each element its bytes in the chunk and in the result
} Form;

static i64 magnitude(i64 step)
{
    return step < 0 ? -step : step;
}

static void move_axis(Form *form, int to, int from)
{
    form->extents[to] = form->extents[from];
    form->sources[to] = form->sources[from];
    form->targets[to] = form->targets[from];
    form->lists[to] = form->lists[from];
}

// Order the axes of shape `number` by their steps in the result, and join those that are one run of bytes in both.
static void simplify(Form *form, const Boxes *boxes, i64 number)
{
    form->axes = 0;
    form->run = boxes->item;
    for (i64 i = number * boxes->axes; i < (number + 1) * boxes->axes; i++) {
        i64 list = boxes->lists ? boxes->lists[i] : -1;
        if (boxes->extents[i] == 1 && list < 0) continue;
        int at = form->axes++;
        for (; at && magnitude(form->targets[at - 1]) < magnitude(boxes->targets[i]); at--) move_axis(form, at, at - 1);
        form->extents[at] = boxes->extents[i];
        form->sources[at] = boxes->sources[i];
        form->targets[at] = boxes->targets[i];
        form->lists[at] = list < 0 ? NULL : boxes->entries + 2 * list;
    }
    for (int last; (last = form->axes - 1) >= 0; form->axes = last) {
        if (form->lists[last] || form->sources[last] != form->run || form->targets[last] != form->run) break;
        form->run *= form->extents[last];
    }
}

#define COPY_RUNS(bytes)                                                                       \
    for (i64 i = 0; i < count; i++)                                                            \
        if (list) memcpy(target + list[2 * i + 1], source + list[2 * i], bytes);               \
        else memcpy(target + i * to, source + i * from, bytes);

// Copy the runs of bytes along the innermost axis.
static void copy_runs(char *target, const char *source, const Form *form, int axis)
{
    i64 count = form->extents[axis], to = form->targets[axis], from = form->sources[axis];
    const i64 *list = form->lists[axis];
    switch (form->run) {
    case 1: COPY_RUNS(1) break;
    case 2: COPY_RUNS(2) break;
    case 4: COPY_RUNS(4) break;
    case 8: COPY_RUNS(8) break;
    case 16: COPY_RUNS(16) break;
    default: COPY_RUNS((size_t)form->run)
    }
}

static void copy(char *target, const char *source, const Form *form, int axis)
{
    if (axis == form->axes) {
        memcpy(target, source, (size_t)form->run);
        return;
    }
    if (axis == form->axes - 1) {
        copy_runs(target, source, form, axis);
        return;
    }
    const i64 *list = form->lists[axis];
    for (i64 i = 0; i < form->extents[axis]; i++) {
        i64 from = list ? list[2 * i] : i * form->sources[axis];
        i64 to = list ? list[2 * i + 1] : i * form->targets[axis];
        copy(target + to, source + from, form, axis + 1);
    }
}

// Copy the boxes `begin` to `end`. Chunk `first` and those after it have these addresses; 0: nothing is copied of it.
EXPORT void gpuzarr_place(const Boxes *boxes, i64 begin, i64 end, i64 first, const i64 *addresses)
{
    Form form = {.axes = 0};
    i64 of = -1;
    for (i64 i = begin; i < end; i++) {
        i64 address = addresses[boxes->chunk[i] - first];
        if (!address) continue;
        if (boxes->shape[i] != of) simplify(&form, boxes, of = boxes->shape[i]);
        copy((char *)(intptr_t)boxes->target[i], (const char *)(intptr_t)address + boxes->begin[i], &form, 0);
    }
}

// Bytes from the first element of a form in the chunk to behind its last.
static i64 span_of(const Form *form)
{
    i64 span = form->run;
    for (int axis = 0; axis < form->axes; axis++) span += (form->extents[axis] - 1) * form->sources[axis];
    return span;
}

static int outermost(const Form *form)
{
    int found = 0;
    for (int axis = 1; axis < form->axes; axis++)
        if (form->extents[axis] > 1 && (form->extents[found] == 1 || form->sources[axis] > form->sources[found])) found = axis;
    return found;
}

static int place_part(const Form *form, const Parts *of, i64 begin, i64 span, char *target)
{
    double before = seconds();
    if (!read_all(of->file, of->scratch, span, of->offset + begin, of->spent)) return 0;
    double read = seconds();
    copy(target, (const char *)of->scratch, form, 0);
    of->spent[READ] += read - before;
    of->spent[PLACE] += seconds() - read;
    return 1;
}

// Place what begins at byte `begin` of the chunk: cut along the outermost axis into parts that are small enough.
static int place_parts(const Form *form, const Parts *of, i64 begin, char *target)
{
    i64 span = span_of(form);
    if (span <= of->most) return place_part(form, of, begin, span, target);
    if (span == form->run) return read_all(of->file, (unsigned char *)target, span, of->offset + begin, of->spent);
    int axis = outermost(form);
    i64 extent = form->extents[axis], step = form->sources[axis], inner = span - (extent - 1) * step;
    i64 each = inner > of->most ? 1 : (of->most - inner) / step + 1;
    Form part = *form;
    for (i64 i = 0; i < extent; i += each) {
        part.extents[axis] = each < extent - i ? each : extent - i;
        if (!place_parts(&part, of, begin + i * step, target + i * form->targets[axis])) return 0;
    }
    return 1;
}

// Read and place one box of a chunk, part by part, so that each is copied while it is in the cache. Returns 1 when that is
// done, -1 where the file cannot be read, 0 if the box is not one that can be cut.
int place_in_parts(const Boxes *boxes, i64 box, const Parts *of)
{
    Form form;
    simplify(&form, boxes, boxes->shape[box]);
    for (int axis = 0; axis < form.axes; axis++)
        if (form.lists[axis] || form.sources[axis] <= 0) return 0;
    return place_parts(&form, of, boxes->begin[box], (char *)(intptr_t)boxes->target[box]) ? 1 : -1;
}
