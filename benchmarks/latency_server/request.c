#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "server.h"

// Bytes of the head of a request, with the empty line at its end; 0 while it is incomplete.
size_t request_head(const char *bytes, size_t size)
{
    const char *end = memmem(bytes, size, "\r\n\r\n", 4);
    return end ? (size_t)(end - bytes) + 4 : 0;
}

static int hexadecimal(char digit)
{
    if ('0' <= digit && digit <= '9') return digit - '0';
    char letter = digit | 0x20;
    return 'a' <= letter && letter <= 'f' ? letter - 'a' + 10 : -1;
}

// Undo the escapes of a URL, in place. False for a wrong one, and for a zero byte.
static bool unescape(char *words, bool is_query)
{
    char *into = words;
    for (; *words; words++, into++) {
        *into = is_query && *words == '+' ? ' ' : *words;
        if (*words != '%') continue;
        int high = hexadecimal(words[1]), low = high < 0 ? -1 : hexadecimal(words[2]);
        if (low < 0 || high + low == 0) return false;
        *into = (char)(high << 4 | low);
        words += 2;
    }
    *into = 0;
    return true;
}

// Whether a path stays below the root: no part of it is "..".
static bool stays_below(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (!strncmp(part, "..", 2) && (part[2] == '/' || !part[2])) return false;
    }
    return true;
}

static Method method_named(const char *name)
{
    static const char *const names[] = {"GET", "HEAD", "PUT", "DELETE", "POST"};
    for (int i = GET; i < OTHER; i++)
        if (!strcmp(name, names[i])) return (Method)i;
    return OTHER;
}

static void take_field(Request *request, const char *name, char *value)
{
    if (!strcasecmp(name, "range")) request->range = value;
    else if (!strcasecmp(name, "if-match")) request->if_match = value;
    else if (!strcasecmp(name, "if-none-match")) request->if_none_match = value;
    else if (!strcasecmp(name, "content-length")) request->body = atoll(value);
    else if (!strcasecmp(name, "connection")) request->is_last |= !strcasecmp(value, "close");
    else if (!strcasecmp(name, "expect")) request->expects_continue = !strcasecmp(value, "100-continue");
    else if (!strcasecmp(name, "transfer-encoding")) request->has_coding = true;
    else if (!strcasecmp(name, "content-encoding")) request->has_coding |= !strcasecmp(value, "aws-chunked");
}

static void parse_field(Request *request, char *line)
{
    char *value = strchr(line, ':');
    if (!value) return;
    *value++ = 0;
    value += strspn(value, " \t");
    for (char *end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t');) *--end = 0;
    take_field(request, line, value);
}

static bool parse_first(Request *request, char *line)
{
    char *path = strchr(line, ' '), *version = path ? strchr(path + 1, ' ') : NULL;
    if (!version || path[1] != '/' || strncmp(version, " HTTP/1.", 8)) return false;
    *path = *version = 0;
    request->method = method_named(line);
    request->is_last = version[8] == '0';
    request->key = path + 2;
    if ((request->query = strchr(request->key, '?'))) *request->query++ = 0;
    return unescape(request->key, false) && stays_below(request->key);
}

// Take the head of a request apart, in place. False where it is none.
bool request_parse(char *head, size_t size, Request *request)
{
    *request = (Request){.method = OTHER, .is_last = true};
    head[size - 2] = 0;
    char *end = strstr(head, "\r\n");
    if (!end) return false;
    *end = 0;
    if (!parse_first(request, head)) return false;
    for (char *line = end + 2; (end = strstr(line, "\r\n")); line = end + 2) {
        *end = 0;
        parse_field(request, line);
    }
    return request->body >= 0;
}

// The value of a parameter of a query, decoded. False where there is none, or no room for it.
bool query_value(const char *query, const char *name, char *into, size_t capacity)
{
    size_t length = strlen(name);
    for (const char *part = query; part && *part; part += strcspn(part, "&"), part += *part == '&') {
        if (strncmp(part, name, length) || part[length] != '=') continue;
        size_t size = strcspn(part + length + 1, "&");
        if (size >= capacity) return false;
        memcpy(into, part + length + 1, size);
        into[size] = 0;
        return unescape(into, true);
    }
    return false;
}
