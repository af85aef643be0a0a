// The most, the least, modes and medians of windows, for each type of elements: see ranks.h.

#define NAME u1
#define T uint8_t
#define S int8_t
#define UT uint8_t
#define LEAST 0
#define MOST UINT8_MAX
#include "ranks.h"

#define NAME u2
#define T uint16_t
#define S int16_t
#define UT uint16_t
#define LEAST 0
#define MOST UINT16_MAX
#include "ranks.h"

#define NAME u4
#define T uint32_t
#define S int32_t
#define UT uint32_t
#define LEAST 0
#define MOST UINT32_MAX
#include "ranks.h"

#define NAME u8
#define T uint64_t
#define S int64_t
#define UT uint64_t
#define LEAST 0
#define MOST UINT64_MAX
#include "ranks.h"

#define NAME i1
#define T int8_t
#define S int8_t
#define UT uint8_t
#define LEAST INT8_MIN
#define MOST INT8_MAX
#include "ranks.h"

#define NAME i2
#define T int16_t
#define S int16_t
#define UT uint16_t
#define LEAST INT16_MIN
#define MOST INT16_MAX
#include "ranks.h"

#define NAME i4
#define T int32_t
#define S int32_t
#define UT uint32_t
#define LEAST INT32_MIN
#define MOST INT32_MAX
#include "ranks.h"

#define NAME i8
#define T int64_t
#define S int64_t
#define UT uint64_t
#define LEAST INT64_MIN
#define MOST INT64_MAX
#include "ranks.h"

#define NAME f2
#define T int16_t
#define S int16_t
#define UT uint16_t
#define LEAST INT16_MIN
#define MOST INT16_MAX
#define KEYED
#include "ranks.h"

#define NAME f4
#define T int32_t
#define S int32_t
#define UT uint32_t
#define LEAST INT32_MIN
#define MOST INT32_MAX
#define KEYED
#include "ranks.h"

#define NAME f8
#define T int64_t
#define S int64_t
#define UT uint64_t
#define LEAST INT64_MIN
#define MOST INT64_MAX
#define KEYED
#include "ranks.h"
