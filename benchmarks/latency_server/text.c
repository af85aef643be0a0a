#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server.h"

static void reserve(Text *text, size_t more)
{
    if (text->size + more <= text->capacity) return;
    text->capacity = 2 * (text->size + more);
    text->bytes = realloc(text->bytes, text->capacity);
    if (!text->bytes) abort();
}

void text_clear(Text *text)
{
    text->size = 0;
}

void text_free(Text *text)
{
    free(text->bytes);
    *text = (Text){0};
}

void text_add(Text *text, const char *format, ...)
{
    reserve(text, 512);  // enough for most, so that it is formatted once
    for (;;) {
        va_list values;
        va_start(values, format);
        size_t room = text->capacity - text->size, wanted = (size_t)vsnprintf(text->bytes + text->size, room, format, values);
        va_end(values);
        if (wanted < room) {
            text->size += wanted;
            return;
        }
        reserve(text, wanted + 1);
    }
}

void text_add_escaped(Text *text, const char *words)
{
    while (*words) {
        size_t plain = strcspn(words, "&<>\"\n\r");
        text_add(text, "%.*s", (int)plain, words);
        if (words[plain]) text_add(text, "&#%d;", words[plain++]);
        words += plain;
    }
}
