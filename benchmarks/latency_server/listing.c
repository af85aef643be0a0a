#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "server.h"

const char UPLOADS[] = ".upload-";

enum { MAX_KEYS = 1000 };

typedef struct {
    char *key;  // one that ends with a slash is a common prefix
    struct stat of;
} Entry;

typedef struct {
    Entry *entries;
    size_t count, capacity;
    const char *prefix;
    bool is_flat;  // without what is in the folders of a folder
} Walk;

static void add_entry(Walk *walk, const char *key, const struct stat *of)
{
    if (strncmp(key, walk->prefix, strlen(walk->prefix))) return;
    if (walk->count == walk->capacity) {
        walk->capacity = 2 * walk->capacity + 64;
        walk->entries = realloc(walk->entries, walk->capacity * sizeof *walk->entries);
        if (!walk->entries) abort();
    }
    walk->entries[walk->count++] = (Entry){strdup(key), *of};
}

static DIR *open_folder(int above, const char *name)
{
    int folder = openat(above, *name ? name : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return folder < 0 ? NULL : fdopendir(folder);
}

static bool is_listed(const char *name)
{
    return strcmp(name, ".") && strcmp(name, "..") && strncmp(name, UPLOADS, sizeof UPLOADS - 1);
}

// Whether there is a file in a folder or below it: S3 knows no empty folders.
static bool has_files(int above, const char *name)
{
    DIR *folder = open_folder(above, name);
    bool found = false;
    for (struct dirent *each; folder && !found && (each = readdir(folder));)
        found = is_listed(each->d_name) && (each->d_type != DT_DIR || has_files(dirfd(folder), each->d_name));
    if (folder) closedir(folder);
    return found;
}

// Whether a key below this folder can begin with the prefix.
static bool may_match(const Walk *walk, const char *folder)
{
    size_t prefix = strlen(walk->prefix), length = strlen(folder);
    return !strncmp(folder, walk->prefix, prefix < length ? prefix : length);
}

static void walk_folder(Walk *walk, int above, const char *name, const char *path);

static void take_name(Walk *walk, int folder, const char *name, const char *path)
{
    struct stat of;
    Text key = {0};
    if (fstatat(folder, name, &of, 0)) return;
    text_add(&key, "%s%s%s", path, name, S_ISDIR(of.st_mode) ? "/" : "");
    if (!S_ISDIR(of.st_mode)) add_entry(walk, key.bytes, &of);
    else if (walk->is_flat && strlen(key.bytes) > strlen(walk->prefix)) {
        if (has_files(folder, name)) add_entry(walk, key.bytes, &of);
    } else if (may_match(walk, key.bytes)) walk_folder(walk, folder, name, key.bytes);
    text_free(&key);
}

// Collect the keys below a folder; `path` is what they begin with.
static void walk_folder(Walk *walk, int above, const char *name, const char *path)
{
    DIR *folder = open_folder(above, name);
    for (struct dirent *each; folder && (each = readdir(folder));)
        if (is_listed(each->d_name)) take_name(walk, dirfd(folder), each->d_name, path);
    if (folder) closedir(folder);
}

static int by_key(const void *one, const void *other)
{
    return strcmp(((const Entry *)one)->key, ((const Entry *)other)->key);
}

static void add_object(Text *xml, const Entry *entry)
{
    char moment[64], etag[ETAG_BYTES];
    struct tm parts;
    object_etag(&entry->of, etag);
    strftime(moment, sizeof moment, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&entry->of.st_mtim.tv_sec, &parts));
    text_add(xml, "<Contents><Key>");
    text_add_escaped(xml, entry->key);
    text_add(xml, "</Key><LastModified>%s</LastModified><ETag>", moment);
    text_add_escaped(xml, etag);
    text_add(xml, "</ETag><Size>%lld</Size><StorageClass>STANDARD</StorageClass></Contents>", (long long)entry->of.st_size);
}

static void add_entry_as_xml(Text *xml, const Entry *entry)
{
    size_t length = strlen(entry->key);
    if (entry->key[length - 1] != '/') return add_object(xml, entry);
    text_add(xml, "<CommonPrefixes><Prefix>");
    text_add_escaped(xml, entry->key);
    text_add(xml, "</Prefix></CommonPrefixes>");
}

static void add_page(Text *xml, const Walk *walk, const char *after, size_t limit)
{
    size_t first = 0;
    while (first < walk->count && strcmp(walk->entries[first].key, after) <= 0) first++;
    size_t last = walk->count - first < limit ? walk->count : first + limit;
    for (size_t i = first; i < last; i++) add_entry_as_xml(xml, &walk->entries[i]);
    bool is_truncated = last < walk->count && last > first;
    text_add(xml, "<KeyCount>%zu</KeyCount><MaxKeys>%zu</MaxKeys><IsTruncated>%s</IsTruncated>", last - first, limit,
             is_truncated ? "true" : "false");
    if (!is_truncated) return;
    text_add(xml, "<NextContinuationToken>");
    text_add_escaped(xml, walk->entries[last - 1].key);
    text_add(xml, "</NextContinuationToken>");
}

// Whether a path is the name of a folder in the root.
bool is_bucket(int root, const char *key)
{
    struct stat of;
    size_t length = strcspn(key, "/");
    return length && strlen(key) <= length + 1 && !fstatat(root, key, &of, 0) && S_ISDIR(of.st_mode);
}

// One page of the keys in a bucket. The key after which the next one begins is the continuation token.
void list_objects(int root, const Request *request, Answer *answer)
{
    char prefix[KEY_BYTES] = "", delimiter[8] = "", after[KEY_BYTES] = "", keys[16] = "";
    query_value(request->query, "prefix", prefix, sizeof prefix);
    query_value(request->query, "delimiter", delimiter, sizeof delimiter);
    if (!query_value(request->query, "continuation-token", after, sizeof after))
        query_value(request->query, "start-after", after, sizeof after);
    size_t limit = query_value(request->query, "max-keys", keys, sizeof keys) ? strtoul(keys, NULL, 10) : MAX_KEYS;
    Walk walk = {.prefix = prefix, .is_flat = !strcmp(delimiter, "/")};
    walk_folder(&walk, root, request->key, "");
    if (walk.count) qsort(walk.entries, walk.count, sizeof *walk.entries, by_key);

    Text xml = {0};
    text_add(&xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
             "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Prefix>");
    text_add_escaped(&xml, prefix);
    text_add(&xml, "</Prefix>");
    add_page(&xml, &walk, after, limit < MAX_KEYS ? limit : MAX_KEYS);
    text_add(&xml, "</ListBucketResult>");
    answer_text(answer, "application/xml", &xml);
    text_free(&xml);
    for (size_t i = 0; i < walk.count; i++) free(walk.entries[i].key);
    free(walk.entries);
}
