// New files, each written beside its place and then renamed: as partial_files.py and overwriter.py of gpuzarr/stores/local,
// which do what is left here.
#define _FILE_OFFSET_BITS 64
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "native.h"

enum { MAX_BYTES = 1 << 26, MAX_PATH = 4096, MODE = 0666 };

// The ends of names beside a place, and the most bytes of a name that are kept whole there. `lock` NULL: nobody has it.
typedef struct {
    const char *partial, *lock;
    i64 most;
} Ends;

// Make the path of what is beside `path`: the name with a dot before it, and this end.
static int beside(char *made, const char *path, const Ends *ends, const char *end)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash - path > MAX_PATH || strlen(slash + 1) > (size_t)ends->most) return 0;
    int made_bytes = snprintf(made, MAX_PATH, "%.*s/.%s%s", (int)(slash - path), path, slash + 1, end);
    return made_bytes > 0 && made_bytes < MAX_PATH;
}

static int write_all(int file, const char *data, i64 size)
{
    while (size) {
        ssize_t done = write(file, data, (size_t)size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return 0;
        data += done;
        size -= done;
    }
    return 1;
}

// Close a copy of the descriptor: some file systems tell of a full disk only then.
static int is_complete(int file)
{
    int copy = fcntl(file, F_DUPFD_CLOEXEC, 0);
    return copy >= 0 && !close(copy);
}

// Whether no holder of the lock may have replaced this file, or may do so: as `_is_alone` of overwriter.py.
static int is_alone(int file, const char *path, const char *lock)
{
    struct stat mine, there;
    if (!lstat(lock, &there)) return 0;
    return !fstat(file, &mine) && !stat(path, &there) && mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

static int write_file(const char *path, const Ends *ends, const char *data, i64 size)
{
    char partial[MAX_PATH], lock[MAX_PATH];
    if (!beside(partial, path, ends, ends->partial) || (ends->lock && !beside(lock, path, ends, ends->lock))) return 0;
    int file = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
    if (file < 0) return 0;
    int is_there = write_all(file, data, size) && is_complete(file) && !rename(partial, path);
    if (!is_there) unlink(partial);
    int is_done = is_there && (!ends->lock || is_alone(file, path, lock));
    close(file);
    return is_done;
}

// Write n files; their paths stand one behind the other, with a 0 at the end of each. Returns how many went well before
// the first that did not, or that comes after MAX_BYTES.
EXPORT i64 gpuzarr_write_files(i64 n, const char *path, const Ends *ends, const i64 *data, const i64 *size)
{
    i64 written = 0;
    for (i64 i = 0; i < n; i++) {
        if (written > MAX_BYTES || !write_file(path, ends, (const char *)(intptr_t)data[i], size[i])) return i;
        path += strlen(path) + 1;
        written += size[i];
    }
    return n;
}
