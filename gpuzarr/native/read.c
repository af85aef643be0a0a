#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "blosc.h"
#include "call.h"
#include "place.h"
#include "read.h"

enum { MAX_JOINED_BYTES = 1 << 14, MAX_GAP_BYTES = 1 << 12 };  // small chunks are read together, as far as the scratch goes
enum { MAX_PART_BYTES = 1 << 18 };  // of a large chunk, which is placed while it is in the cache

// A chunk that is read, decoded and placed: `Jobs` of gpuzarr/cpu/jobs.py makes it.
typedef struct {
    const char *path;                      // of the file, which is opened; NULL: `file` is open
    i64 file, offset, size;                // of the stored chunk; size -1: to the end of the file
    i64 first, last;                       // the wanted part of the decoded chunk: from byte `first` to before `last`
    i64 target;                            // where the decoded chunk belongs; 0: it is scratch,
    const Boxes *boxes;                    // of which these boxes
    i64 begin, end, number;                // are wanted, those of the chunk with this number
    i64 is_done;                           // 12 words in all
} Job;

// What all jobs of a call have in common. The scratch is `most` bytes for a stored chunk, and `nbytes` for a decoded one.
typedef struct {
    const Call *decode;                    // NULL: chunks are stored as they are
    i64 nbytes, most, flags;               // of a decoded and of a stored chunk; of open()
    unsigned char *stored, *decoded;
} Kind;

// Bytes of a file that are in the scratch.
typedef struct {
    int file;
    i64 begin, end;
} Window;

double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int read_all(int file, unsigned char *into, i64 size, i64 offset, double *spent)
{
    while (size) {
        ssize_t found = pread(file, into, (size_t)size, offset);
        if (found < 0 && errno == EINTR) continue;
        if (found <= 0) return 0;
        spent[BYTES] += (double)found;
        spent[CALLS]++;
        into += found;
        offset += found;
        size -= found;
    }
    return 1;
}

static int is_small(const Job *job, const Kind *kind)
{
    return !job->path && 0 < job->size && job->size <= MAX_JOINED_BYTES && job->size <= kind->most &&
           job->last - job->first == kind->nbytes;
}

// The bytes of a small chunk in the scratch, to which it is read with those that follow it closely in its file.
static unsigned char *joined(const Job *job, const Job *end, const Kind *kind, Window *window, double *spent)
{
    if (window->file != job->file || job->offset < window->begin || job->offset + job->size > window->end) {
        *window = (Window){(int)job->file, job->offset, job->offset + job->size};
        for (const Job *next = job + 1; next < end && next->file == job->file && is_small(next, kind); next++) {
            if (next->offset < window->begin || next->offset > window->end + MAX_GAP_BYTES) break;
            if (next->offset + next->size > window->begin + kind->most) break;
            if (next->offset + next->size > window->end) window->end = next->offset + next->size;
        }
        if (!read_all(window->file, kind->stored, window->end - window->begin, window->begin, spent)) {
            window->file = -1;
            return NULL;
        }
    }
    return kind->stored + (job->offset - window->begin);
}

// The stored bytes of a chunk, `size` of them, in the scratch; NULL where they cannot be read, or are too many.
static unsigned char *stored(const Job *job, const Job *end, const Kind *kind, int file, Window *window, i64 *size,
                             double *spent)
{
    *size = job->size < 0 ? (i64)lseek(file, 0, SEEK_END) : job->size;
    if (is_small(job, kind)) return joined(job, end, kind, window, spent);
    window->file = -1;
    int is_read = *size > 0 && *size <= kind->most && read_all(file, kind->stored, *size, job->offset, spent);
    return is_read ? kind->stored : NULL;
}

// Read the wanted part of a chunk that is stored as it is. Returns the bytes that it is stored in, or -1.
static i64 read_part(const Job *job, const Kind *kind, int file, unsigned char *target, double *spent)
{
    i64 size = job->size < 0 ? (i64)lseek(file, 0, SEEK_END) : job->size, wanted = job->last - job->first;
    if (size != kind->nbytes) return -1;
    return read_all(file, target + job->first, wanted, job->offset + job->first, spent) ? size : -1;
}

static int decode(const Job *job, const Kind *kind, unsigned char *source, i64 size, unsigned char *target)
{
    Cut cut = {0, 0, kind->nbytes};
    if (kind->decode->kind == BLOSC_DECODE) {
        if (!blosc_is_common(source, size, kind->nbytes)) return 0;
        if (job->last - job->first < kind->nbytes) cut = blosc_cut(source, job->first, job->last);
    }
    i64 to = (i64)(intptr_t)target + cut.skipped, from = (i64)(intptr_t)source + cut.start;
    return succeeded(kind->decode, call(kind->decode, to, cut.nbytes, from, size - cut.start), cut.nbytes);
}
// Make a chunk of its stored bytes, in `target` or where they are. Returns where it is; NULL: it is unusual, or damaged.
static unsigned char *made(const Job *job, const Kind *kind, unsigned char *source, i64 size, unsigned char *target)
{
    if (kind->decode) return decode(job, kind, source, size, target) ? target : NULL;
    if (size != kind->nbytes || !job->target) return size == kind->nbytes ? source : NULL;
    return memcpy(target, source, (size_t)size);
}

// Place a large chunk that is stored as it is, part by part. Returns the bytes that it is stored in, or -1; 0: do it else.
static i64 placed_in_parts(const Job *job, const Kind *kind, int file, double *spent)
{
    if (kind->decode || job->target || kind->nbytes <= MAX_PART_BYTES || job->end - job->begin != 1) return 0;
    i64 size = job->size < 0 ? (i64)lseek(file, 0, SEEK_END) : job->size;
    if (size != kind->nbytes) return -1;
    Parts parts = {file, job->offset, kind->decoded, MAX_PART_BYTES, spent};
    int done = place_in_parts(job->boxes, job->begin, &parts);
    return done > 0 ? size : done;
}

// Do a job. Returns the bytes that the chunk is stored in, or -1.
static i64 run(const Job *job, const Job *end, const Kind *kind, int file, Window *window, double *spent)
{
    unsigned char *chunk = job->target ? (unsigned char *)(intptr_t)job->target : kind->decoded, *source = NULL;
    double begin = seconds();
    i64 size = placed_in_parts(job, kind, file, spent);
    if (size) return size;
    size = -1;
    int is_apart = !kind->decode && !is_small(job, kind);
    if (is_apart) size = read_part(job, kind, file, chunk, spent);
    else source = stored(job, end, kind, file, window, &size, spent);
    double read = seconds();
    spent[READ] += read - begin;
    if (!is_apart) chunk = source ? made(job, kind, source, size, chunk) : NULL;
    if (!chunk || size < 0) return -1;
    double decoded = seconds();
    spent[DECODE] += decoded - read;
    i64 address = (i64)(intptr_t)chunk;
    if (!job->target) gpuzarr_place(job->boxes, job->begin, job->end, job->number, &address);
    spent[PLACE] += seconds() - decoded;
    return size;
}

// Do n jobs; `is_done` tells which went well: of the others Python finds out what is wrong. Returns the stored bytes of
// those, and adds to spent[0..4]: seconds of reading, decoding and placing; bytes that were read, and calls for that.
EXPORT i64 gpuzarr_read(Job *jobs, i64 n, const Kind *kind, double *spent)
{
    i64 total = 0;
    Window window = {-1, 0, 0};
    for (Job *job = jobs; job < jobs + n; job++) {
        int file = job->path ? open(job->path, (int)kind->flags) : (int)job->file;
        i64 size = file < 0 ? -1 : run(job, jobs + n, kind, file, &window, spent);
        if (job->path && file >= 0) close(file);
        job->is_done = size >= 0;
        if (size >= 0) total += size;
    }
    return total;
}
