// A server of a folder over HTTP, with a latency and a bandwidth of one's choice. See main.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

// text.c: bytes that grow at their end.
typedef struct {
    char *bytes;
    size_t size, capacity;
} Text;

void text_clear(Text *text);
void text_free(Text *text);
void text_add(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_escaped(Text *text, const char *words);  // for XML

// request.c: what a client asks for. The strings lie in the bytes that were parsed; NULL where there are none.
typedef enum { GET, HEAD, PUT, DELETE, POST, OTHER } Method;

typedef struct {
    Method method;
    char *key;  // the decoded path, without its first slash
    char *query, *range, *if_match, *if_none_match;
    int64_t body;  // bytes that follow the head
    bool is_last, expects_continue, has_coding;
} Request;

size_t request_head(const char *bytes, size_t size);
bool request_parse(char *head, size_t size, Request *request);
bool query_value(const char *query, const char *name, char *into, size_t capacity);

// answers.c: a head and small bodies in `text`, then `left` bytes of a file from `offset`.
typedef struct {
    Text text;
    size_t sent, head;  // bytes of `text` that were sent, and that are no body
    int file;           // -1 where there is none
    off_t offset;
    int64_t left;
} Answer;

void answer_clear(Answer *answer);
void answer_head(Answer *answer, int status, int64_t body, const char *fields);
void answer_status(Answer *answer, const Request *request, int status);
void answer_text(Answer *answer, const char *type, const Text *body);

// objects.c: the files as objects, with S3's conditions.
enum { ETAG_BYTES = 64, KEY_BYTES = 4096 };

typedef struct {
    int file;  // -1 where none is written
    int64_t left;
    bool deletes;   // it is a list of objects to delete, and no object itself
    char name[48];  // below the root
    char key[KEY_BYTES], if_match[ETAG_BYTES], if_none_match[ETAG_BYTES];
} Upload;

void object_etag(const struct stat *of, char etag[ETAG_BYTES]);
void object_get(int root, const Request *request, Answer *answer);
void object_delete(int root, const Request *request, Answer *answer);
int upload_begin(int root, const Request *request, Upload *upload);
int upload_end(int root, Upload *upload, Answer *answer);
void upload_abort(int root, Upload *upload);

// listing.c: ListObjectsV2 of S3.
extern const char UPLOADS[];  // how the names of unfinished uploads begin
bool is_bucket(int root, const char *key);
void list_objects(int root, const Request *request, Answer *answer);
