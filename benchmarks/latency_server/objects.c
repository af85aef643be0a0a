#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "server.h"

// What differs for each content of an object.
void object_etag(const struct stat *of, char etag[ETAG_BYTES])
{
    long long moment = of->st_mtim.tv_sec * 1000000000LL + of->st_mtim.tv_nsec;
    snprintf(etag, ETAG_BYTES, "\"%llx-%llx-%llx\"", moment, (long long)of->st_size, (long long)of->st_ino);
}

// Whether an ETag is one of those that a client sent. "*" is any.
static bool is_among(const char *etag, const char *sent)
{
    return !strcmp(sent, "*") || strstr(sent, etag);
}

typedef struct {
    int64_t first, size;
} Range;

typedef enum { WHOLE, PART, BEYOND } Extent;

// Take "bytes=a-b", "a-" or "-n" of an object with so many bytes. Whatever else was sent means all of it.
static Extent parse_range(const char *sent, int64_t size, Range *range)
{
    long long first, last = INT64_MAX;
    int end = 0;
    *range = (Range){0, size};
    if (!sent || strncmp(sent, "bytes=", 6)) return WHOLE;
    if (sscanf(sent + 6, "-%lld%n", &last, &end) == 1 && end && !sent[6 + end] && last >= 0) {
        int64_t part = last < size ? last : size;
        *range = (Range){size - part, part};
        return part ? PART : BEYOND;
    }
    last = INT64_MAX;
    if (sscanf(sent + 6, "%lld-%n%lld%n", &first, &end, &last, &end) < 1 || !end || sent[6 + end]) return WHOLE;
    if (first < 0 || last < first) return WHOLE;
    if (first >= size) return BEYOND;
    *range = (Range){first, (last < size ? last + 1 : size) - first};
    return PART;
}

// The head of an answer about a file. `range` is NULL for all of it.
static void add_head(Answer *answer, int status, const struct stat *of, const Range *range)
{
    char fields[512], etag[ETAG_BYTES], moment[64];
    struct tm parts;
    object_etag(of, etag);
    strftime(moment, sizeof moment, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&of->st_mtim.tv_sec, &parts));
    int used = snprintf(fields, sizeof fields, "ETag: %s\r\nLast-Modified: %s\r\nAccept-Ranges: bytes\r\n"
                        "Content-Type: application/octet-stream\r\n", etag, moment);
    if (range)
        snprintf(fields + used, sizeof fields - (size_t)used, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)range->first,
                 (long long)(range->first + range->size - 1), (long long)of->st_size);
    answer_head(answer, status, range ? range->size : (int64_t)of->st_size, fields);
}

static void answer_beyond(Answer *answer, const struct stat *of)
{
    char fields[64];
    snprintf(fields, sizeof fields, "Content-Range: bytes */%lld\r\n", (long long)of->st_size);
    answer_head(answer, 416, 0, fields);
}

// GET and HEAD of a file that is open; the answer has it from now on.
static void answer_file(const Request *request, Answer *answer, const struct stat *of)
{
    Range range;
    char etag[ETAG_BYTES];
    object_etag(of, etag);
    if (request->if_match && !is_among(etag, request->if_match)) return answer_status(answer, request, 412);
    if (request->if_none_match && is_among(etag, request->if_none_match)) return add_head(answer, 304, of, NULL);
    Extent extent = parse_range(request->range, of->st_size, &range);
    if (extent == BEYOND) return answer_beyond(answer, of);
    add_head(answer, extent == PART ? 206 : 200, of, extent == PART ? &range : NULL);
    if (request->method == HEAD) return;
    answer->offset = range.first;
    answer->left = range.size;
}

void object_get(int root, const Request *request, Answer *answer)
{
    struct stat of;
    answer->file = openat(root, request->key, O_RDONLY | O_CLOEXEC);
    if (answer->file < 0 || fstat(answer->file, &of) || !S_ISREG(of.st_mode)) return answer_status(answer, request, 404);
    answer_file(request, answer, &of);
}

// Whether the object at a key is as the conditions want it. "" is no condition.
static bool holds(int root, const char *key, const char *if_match, const char *if_none_match)
{
    struct stat of;
    char etag[ETAG_BYTES];
    bool is_there = !fstatat(root, key, &of, 0) && S_ISREG(of.st_mode);
    if (is_there) object_etag(&of, etag);
    if (*if_match && !(is_there && is_among(etag, if_match))) return false;
    return !(*if_none_match && is_there && is_among(etag, if_none_match));
}

// Remove the folders above a key, the innermost first, as long as they are empty and below a bucket.
static void remove_empty_folders(int root, const char *key)
{
    char folder[KEY_BYTES];
    snprintf(folder, sizeof folder, "%s", key);
    for (char *slash; (slash = strrchr(folder, '/')) && memchr(folder, '/', (size_t)(slash - folder));) {
        *slash = 0;
        if (unlinkat(root, folder, AT_REMOVEDIR)) return;
    }
}

void object_delete(int root, const Request *request, Answer *answer)
{
    if (!holds(root, request->key, request->if_match ? request->if_match : "", "")) return answer_status(answer, request, 412);
    if (!unlinkat(root, request->key, 0)) remove_empty_folders(root, request->key);
    answer_status(answer, request, 204);
}

static bool copied(char *into, size_t capacity, const char *words)
{
    return snprintf(into, capacity, "%s", words ? words : "") < (int)capacity;
}

// Begin to write an object under another name. Returns 0, or a status.
int upload_begin(int root, const Request *request, Upload *upload)
{
    static unsigned number;
    bool fits = copied(upload->key, sizeof upload->key, request->key);
    fits &= copied(upload->if_match, sizeof upload->if_match, request->if_match);
    fits &= copied(upload->if_none_match, sizeof upload->if_none_match, request->if_none_match);
    if (!fits || !*upload->key) return 400;
    snprintf(upload->name, sizeof upload->name, "%s%d-%u", UPLOADS, (int)getpid(), number++);
    upload->file = openat(root, upload->name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    upload->left = request->body;
    upload->deletes = request->method == POST;
    return upload->file < 0 ? 500 : 0;
}

static void make_folders(int root, char *key)
{
    for (char *slash = strchr(key, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdirat(root, key, 0777);
        *slash = '/';
    }
}

// Turn the entities of XML in words into what they stand for, in place.
static void unescape_xml(char *words)
{
    static const struct { const char *entity; char byte; } entities[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    char *into = words;
    while (*words) {
        size_t i = 0, count = sizeof entities / sizeof *entities;
        while (i < count && strncmp(words, entities[i].entity, strlen(entities[i].entity))) i++;
        *into++ = i < count ? entities[i].byte : *words;
        words += i < count ? strlen(entities[i].entity) : 1;
    }
    *into = 0;
}

// DeleteObjects of S3: delete the objects whose keys a document has. Returns 0, or a status.
static int delete_listed(int root, Upload *upload, Answer *answer)
{
    off_t size = lseek(upload->file, 0, SEEK_END);
    char *words = size < 0 ? NULL : calloc((size_t)size + 1, 1), path[2 * KEY_BYTES];
    bool is_read = words && pread(upload->file, words, (size_t)size, 0) == size;
    Text body = {0};
    text_add(&body, "<DeleteResult>");
    for (char *key = words, *end; is_read && (key = strstr(key, "<Key>")) && (end = strstr(key, "</Key>")); key = end + 1) {
        *end = 0;
        unescape_xml(key += 5);
        bool fits = snprintf(path, sizeof path, "%s/%s", upload->key, key) < (int)sizeof path && !strstr(path, "..");
        if (fits && !unlinkat(root, path, 0)) remove_empty_folders(root, path);
        text_add(&body, "<Deleted><Key>");
        text_add_escaped(&body, key);
        text_add(&body, "</Key></Deleted>");
    }
    text_add(&body, "</DeleteResult>");
    if (is_read) answer_text(answer, "application/xml", &body);
    text_free(&body);
    free(words);
    return is_read ? 0 : 500;
}

// The object that was written takes its place, where the conditions hold now. Returns 0, or a status.
int upload_end(int root, Upload *upload, Answer *answer)
{
    if (upload->deletes) {
        int failed = delete_listed(root, upload, answer);
        upload_abort(root, upload);
        return failed;
    }
    struct stat of;
    char fields[ETAG_BYTES + 16], etag[ETAG_BYTES];
    struct timespec now[2];
    clock_gettime(CLOCK_REALTIME, &now[1]);  // the file system's own moments are too coarse for an ETag
    now[0] = now[1];
    bool is_whole = !futimens(upload->file, now) && !fstat(upload->file, &of);
    int status = !is_whole ? 500 : holds(root, upload->key, upload->if_match, upload->if_none_match) ? 0 : 412;
    if (!status) {
        make_folders(root, upload->key);
        status = renameat(root, upload->name, root, upload->key) ? 409 : 0;
    }
    if (status) {
        upload_abort(root, upload);
        return status;
    }
    close(upload->file);
    upload->file = -1;
    object_etag(&of, etag);
    snprintf(fields, sizeof fields, "ETag: %s\r\n", etag);
    answer_head(answer, 200, 0, fields);
    return 0;
}

void upload_abort(int root, Upload *upload)
{
    if (upload->file < 0) return;
    close(upload->file);
    upload->file = -1;
    unlinkat(root, upload->name, 0);
}
