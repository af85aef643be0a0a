// Means of windows, for each type of elements, and of sums that are wide enough: see means.h.

#define NAME u1_i4
#define T uint8_t
#define A int32_t
#define WHOLE
#define WORD uint16_t
#include "means.h"

#define NAME u1_i8
#define T uint8_t
#define A i64
#define WHOLE
#define WORD uint16_t
#include "means.h"

#define NAME u2_i4
#define T uint16_t
#define A int32_t
#define WHOLE
#define WORD uint32_t
#include "means.h"

#define NAME u2_i8
#define T uint16_t
#define A i64
#define WHOLE
#define WORD uint32_t
#include "means.h"

#define NAME u4_i8
#define T uint32_t
#define A i64
#define WHOLE
#define WORD uint64_t
#include "means.h"

#define NAME u8_i16
#define T uint64_t
#define A __int128
#define WHOLE
#include "means.h"

#define NAME i1_i4
#define T int8_t
#define A int32_t
#define WHOLE
#define WORD uint16_t
#include "means.h"

#define NAME i1_i8
#define T int8_t
#define A i64
#define WHOLE
#define WORD uint16_t
#include "means.h"

#define NAME i2_i4
#define T int16_t
#define A int32_t
#define WHOLE
#define WORD uint32_t
#include "means.h"

#define NAME i2_i8
#define T int16_t
#define A i64
#define WHOLE
#define WORD uint32_t
#include "means.h"

#define NAME i4_i8
#define T int32_t
#define A i64
#define WHOLE
#define WORD uint64_t
#include "means.h"

#define NAME i8_i16
#define T int64_t
#define A __int128
#define WHOLE
#include "means.h"

#define NAME half
#define T uint16_t
#define A float
#define SHORT half_value
#define SHORTENED half_bits
#include "means.h"

#define NAME bfloat
#define T uint16_t
#define A float
#define SHORT bfloat_value
#define SHORTENED bfloat_bits
#include "means.h"

#define NAME float
#define T float
#define A float
#include "means.h"

#define NAME double
#define T double
#define A double
#include "means.h"
