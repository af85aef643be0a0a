// Files that are open to be read together. A call does a part of its work and returns how much, so that Python can look
// for signals; what is left, Python asks for again.
#define _FILE_OFFSET_BITS 64
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "native.h"

#ifdef __APPLE__
#define st_mtim st_mtimespec
#endif

enum { MAX_FILES = 256, MAX_BYTES = 1 << 26, MAX_PATH = 4096, MISSING = -1 };
static const i64 MAX_SEEK_BYTES = INT32_MAX;  // some file systems say that a folder ends here, or farther

enum { NO_FILE = -1, SHORTER = -2 };  // errors that have no errno

// Where a loop has stopped. error: 0, or why it has. done: bytes of a range that was not read to its end.
typedef struct {
    const char *name;
    i64 error, done;
} Progress;

static i64 open_in(const char *folder, const char *name, i64 flags)
{
    char path[MAX_PATH];
    size_t head = strlen(folder), tail = strlen(name);
    if (head + tail + 2 > sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, folder, head);
    path[head] = '/';
    memcpy(path + head + 1, name, tail + 1);
    return open(path, (int)flags);
}

// The bytes of an open file, or why there are none to be read.
static i64 length_of(i64 file, i64 *error)
{
    struct stat status;
    i64 length = lseek((int)file, 0, SEEK_END);  // takes half as long as fstat
    if (length >= 0 && length < MAX_SEEK_BYTES) return length;
    if (length < 0) *error = errno;
    if (fstat((int)file, &status)) *error = errno;
    else if (length < 0 ? S_ISDIR(status.st_mode) : !S_ISREG(status.st_mode)) *error = NO_FILE;  // as in tmpfs
    return length;
}

// Open n files in a folder, whose names stand one behind the other at `progress->name`, each with a 0 at its end: their
// numbers for the system, and their lengths. Both stay as they are for missing files. Returns how many were looked at
// before it stopped; the next one is at fault, if one is.
EXPORT i64 gpuzarr_open_files(i64 n, const char *folder, i64 flags, i64 *files, i64 *lengths, Progress *progress)
{
    progress->error = 0;
    for (i64 i = 0; i < n; i++) {
        if (i == MAX_FILES) return i;
        i64 file = open_in(folder, progress->name, flags);
        if (file >= 0) {
            files[i] = file;
            lengths[i] = length_of(file, &progress->error);
        } else if (errno != ENOENT && errno != ENOTDIR) {
            progress->error = errno;
        }
        if (progress->error) return i;
        progress->name += strlen(progress->name) + 1;
    }
    return n;
}

// Close the files that are open, and note it.
EXPORT void gpuzarr_close_files(i64 n, i64 *files)
{
    for (i64 i = 0; i < n; i++) {
        if (files[i] < 0) continue;
        close((int)files[i]);
        files[i] = MISSING;
    }
}

// Read a range from byte `progress->done` on, at most `most` bytes of it. Returns how many.
static i64 read_range(i64 file, char *target, i64 offset, i64 size, i64 most, Progress *progress)
{
    i64 begin = progress->done, end = size - begin < most ? size : begin + most;
    while (progress->done < end && !progress->error) {
        ssize_t found = pread((int)file, target + progress->done, (size_t)(end - progress->done),
                              (off_t)(offset + progress->done));
        if (found > 0) progress->done += found;
        else progress->error = found ? errno : SHORTER;
    }
    return progress->done - begin;
}

// Read n ranges: size[i] bytes at offset[i] of the file files[object[i]], to the address target[i]; of the first of them
// `progress->done` bytes are there. Returns how many are read when it stops; the next one is at fault, if one is.
EXPORT i64 gpuzarr_read_ranges(i64 n, const i64 *files, const i64 *object, const i64 *target, const i64 *offset, const i64 *size,
                        Progress *progress)
{
    i64 most = MAX_BYTES;
    progress->error = 0;
    for (i64 i = 0; i < n; i++) {
        most -= read_range(files[object[i]], (char *)(intptr_t)target[i], offset[i], size[i], most, progress);
        if (progress->done < size[i]) return i;
        progress->done = 0;
    }
    return n;
}

// The versions of n open files: inode, size, time of the last change in nanoseconds; a size of -1 where there is none.
EXPORT void gpuzarr_versions(i64 n, const i64 *files, i64 *versions)
{
    struct stat status;
    for (i64 i = 0; i < n; i++, versions += 3) {
        int found = files[i] >= 0 && !fstat((int)files[i], &status);
        versions[0] = found ? (i64)status.st_ino : 0;
        versions[1] = found ? status.st_size : MISSING;
        versions[2] = found ? (i64)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec : 0;
    }
}
