#include <stdlib.h>
#include <unistd.h>
#include "server.h"

typedef struct {
    int status;
    const char *phrase, *code;  // the code is S3's
} Status;

static const Status STATUSES[] = {
    {200, "OK", ""},
    {204, "No Content", ""},
    {206, "Partial Content", ""},
    {304, "Not Modified", ""},
    {400, "Bad Request", "InvalidRequest"},
    {404, "Not Found", "NoSuchKey"},
    {405, "Method Not Allowed", "MethodNotAllowed"},
    {409, "Conflict", "OperationAborted"},
    {412, "Precondition Failed", "PreconditionFailed"},
    {416, "Range Not Satisfiable", "InvalidRange"},
    {431, "Request Header Fields Too Large", "MaxMessageLengthExceeded"},
    {500, "Internal Server Error", "InternalError"},
    {501, "Not Implemented", "NotImplemented"},
};

static const Status *status_of(int status)
{
    size_t i = 0;
    while (STATUSES[i].status != status) i++;
    return &STATUSES[i];
}

// Forget an answer; its memory stays for the next one.
void answer_clear(Answer *answer)
{
    if (answer->file >= 0) close(answer->file);
    text_clear(&answer->text);
    answer->sent = answer->head = 0;
    answer->file = -1;
    answer->left = 0;
}

// Begin an answer whose body has so many bytes. `fields` are whole lines.
void answer_head(Answer *answer, int status, int64_t body, const char *fields)
{
    text_add(&answer->text, "HTTP/1.1 %d %s\r\n%s", status, status_of(status)->phrase, fields);
    if (status != 204 && status != 304) text_add(&answer->text, "Content-Length: %lld\r\n", (long long)body);
    text_add(&answer->text, "\r\n");
    answer->head = answer->text.size;
}

// A whole answer from memory.
void answer_text(Answer *answer, const char *type, const Text *body)
{
    Text fields = {0};
    text_add(&fields, "Content-Type: %s\r\n", type);
    answer_head(answer, 200, (int64_t)body->size, fields.bytes);
    text_add(&answer->text, "%.*s", (int)body->size, body->bytes);
    text_free(&fields);
}

// A whole answer that says only how it went; of an error, in the words of S3.
void answer_status(Answer *answer, const Request *request, int status)
{
    Text body = {0};
    if (status >= 400) text_add(&body, "<Error><Code>%s</Code></Error>", status_of(status)->code);
    answer_head(answer, status, (int64_t)body.size, "Content-Type: application/xml\r\n");
    if (request->method != HEAD && body.size) text_add(&answer->text, "%s", body.bytes);
    text_free(&body);
}
