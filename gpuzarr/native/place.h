#pragma once
#include "native.h"

// As gpuzarr.batch.Boxes, whose arrays have these names; but `target` are addresses, `lists` is NULL where no axis has a
// list, shapes have at most 64 axes, and elements `item` bytes.
typedef struct {
    i64 axes, item;
    const i64 *chunk, *begin, *target, *shape, *extents, *sources, *targets, *lists, *entries;
} Boxes;

void gpuzarr_place(const Boxes *boxes, i64 begin, i64 end, i64 first, const i64 *addresses);

// An uncompressed chunk at `offset` of an open file, which is read in parts of about `most` bytes, and the seconds that
// this takes. `scratch` is `most` bytes.
typedef struct {
    int file;
    i64 offset;
    unsigned char *scratch;
    i64 most;
    double *spent;
} Parts;

int place_in_parts(const Boxes *boxes, i64 box, const Parts *of);
