#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include "blosc.h"
#include "call.h"
#include "place.h"

enum { READ, DECODE, PLACE };

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

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int read_all(int file, unsigned char *into, i64 size, i64 offset)
{
    while (size) {
        ssize_t found = pread(file, into, (size_t)size, offset);
        if (found < 0 && errno == EINTR) continue;
        if (found <= 0) return 0;
        into += found;
        offset += found;
        size -= found;
    }
    return 1;
}

// Read what is needed of the chunk: uncompressed, the wanted part to its place. Returns the bytes that it is stored in, or
// -1.
static i64 fetch(const Job *job, const Kind *kind, int file, unsigned char *target)
{
    i64 size = job->size < 0 ? (i64)lseek(file, 0, SEEK_END) : job->size;
    if (kind->decode) return size > 0 && size <= kind->most && read_all(file, kind->stored, size, job->offset) ? size : -1;
    i64 wanted = job->last - job->first;
    return size == kind->nbytes && read_all(file, target + job->first, wanted, job->offset + job->first) ? size : -1;
}

static int decode(const Job *job, const Kind *kind, i64 size, unsigned char *target)
{
    Cut cut = {0, 0, kind->nbytes};
    if (kind->decode->kind == BLOSC_DECODE) {
        if (!blosc_is_common(kind->stored, size, kind->nbytes)) return 0;
        if (job->last - job->first < kind->nbytes) cut = blosc_cut(kind->stored, job->first, job->last);
    }
    i64 to = (i64)(intptr_t)target + cut.skipped, from = (i64)(intptr_t)kind->stored + cut.start;
    return succeeded(kind->decode, call(kind->decode, to, cut.nbytes, from, size - cut.start), cut.nbytes);
}

static i64 run(const Job *job, const Kind *kind, int file, double *spent)
{
    unsigned char *target = job->target ? (unsigned char *)(intptr_t)job->target : kind->decoded;
    double begin = seconds();
    i64 size = fetch(job, kind, file, target);
    double read = seconds();
    spent[READ] += read - begin;
    if (size < 0 || (kind->decode && !decode(job, kind, size, target))) return -1;
    double decoded = seconds();
    spent[DECODE] += decoded - read;
    i64 address = (i64)(intptr_t)target;
    if (!job->target) gpuzarr_place(job->boxes, job->begin, job->end, job->number, &address);
    spent[PLACE] += seconds() - decoded;
    return size;
}

// Do n jobs; `is_done` tells which went well: of the others Python finds out what is wrong. Returns the stored bytes of
// those, and adds the seconds that were spent to spent[0..2]: on reading, decoding and placing.
EXPORT i64 gpuzarr_read(Job *jobs, i64 n, const Kind *kind, double *spent)
{
    i64 total = 0;
    for (Job *job = jobs; job < jobs + n; job++) {
        int file = job->path ? open(job->path, (int)kind->flags) : (int)job->file;
        i64 size = file < 0 ? -1 : run(job, kind, file, spent);
        if (job->path && file >= 0) close(file);
        job->is_done = size >= 0;
        if (size >= 0) total += size;
    }
    return total;
}
