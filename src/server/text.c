/* text.c - see text.h.
 *
 * words_split allocates once: no word is longer than the line, and all of them together with their
 * terminators take at most the line's size plus one byte per word; there are at most size/2+1 words.
 */
#include "server/text.h"

#include "base/check.h"

#include <tuco/mem.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

static bool text_reserve(struct text *t, size_t more)
{
    if (t->failed)
        return false;
    if (more < t->capacity - t->size)
        return true;
    size_t wanted = t->size + more + 1;
    size_t capacity = t->capacity * 2 > wanted ? t->capacity * 2 : wanted;
    char *data = wanted <= more ? NULL : tu_realloc(t->data, capacity);
    if (data == NULL) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void text_add(struct text *t, struct slice bytes)
{
    if (!text_reserve(t, bytes.size))
        return;
    if (bytes.size != 0)
        memcpy(t->data + t->size, bytes.data, bytes.size);
    t->size += bytes.size;
    t->data[t->size] = '\0';
}

void text_add_string(struct text *t, const char *string)
{
    text_add(t, slice_of(string));
}

void text_addv(struct text *t, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    char small[512];
    int size = vsnprintf(small, sizeof small, format, args);
    tu_check(size >= 0, "bad format '%s'", format);
    if ((size_t)size < sizeof small) {
        text_add(t, (struct slice){small, (size_t)size});
    } else if (text_reserve(t, (size_t)size)) {
        (void)vsnprintf(t->data + t->size, (size_t)size + 1, format, again);
        t->size += (size_t)size;
    }
    va_end(again);
}

void text_addf(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_addv(t, format, args);
    va_end(args);
}

/* The letter after the backslash for a byte that has one, or 0. */
static char escape_letter(char c)
{
    switch (c) {
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    case '\a': return 'a';
    case '\b': return 'b';
    case '\\':
    case '"': return c;
    default: return 0;
    }
}

void text_add_quoted(struct text *t, struct slice bytes)
{
    text_add(t, SLICE("\""));
    for (size_t i = 0; i < bytes.size; i++) {
        char c = bytes.data[i], letter = escape_letter(c);
        if (letter != 0)
            text_addf(t, "\\%c", letter);
        else if (c >= ' ' && c < 127)
            text_add(t, (struct slice){&c, 1});
        else
            text_addf(t, "\\x%02x", (unsigned char)c);
    }
    text_add(t, SLICE("\""));
}

void text_free(struct text *t)
{
    tu_free(t->data);
    *t = (struct text){0};
}

char *text_copy(struct slice bytes)
{
    char *copy = tu_alloc(bytes.size + 1);
    if (copy == NULL)
        return NULL;
    if (bytes.size != 0)
        memcpy(copy, bytes.data, bytes.size);
    copy[bytes.size] = '\0';
    return copy;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads one escape of a "..." word at *p (behind the backslash); moves *p behind it. */
static char unescape(const char **p, const char *end)
{
    char c = *(*p)++;
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    case 'x':
        if (end - *p >= 2 && hex_digit((*p)[0]) >= 0 && hex_digit((*p)[1]) >= 0) {
            int value = hex_digit((*p)[0]) * 16 + hex_digit((*p)[1]);
            *p += 2;
            return (char)value;
        }
        return c;
    default: return c;
    }
}

/* Copies one word from *p to *out and moves both. False: a quote without its end. */
static bool take_word(const char **p, const char *end, char **out)
{
    char quote = 0;
    while (*p < end) {
        char c = *(*p)++;
        if (quote == 0) {
            if (is_space(c) || c == '\0')
                return true;
            if (c == '"' || c == '\'')
                quote = c;
            else
                *(*out)++ = c;
        } else if (c == quote) {
            return *p == end || is_space(**p);
        } else if (quote == '"' && c == '\\' && *p < end) {
            *(*out)++ = unescape(p, end);
        } else if (quote == '\'' && c == '\\' && *p < end && **p == '\'') {
            *(*out)++ = *(*p)++;
        } else {
            *(*out)++ = c;
        }
    }
    return quote == 0;
}

int words_split(struct slice line, struct words *out)
{
    *out = (struct words){0};
    size_t most = line.size / 2 + 1;
    if (line.size > SIZE_MAX / 32)
        return -ENOMEM;
    struct slice *items = tu_alloc(most * sizeof *items + line.size + most);
    if (items == NULL)
        return -ENOMEM;
    char *bytes = (char *)(items + most);
    const char *p = line.data, *end = line.data + line.size;
    size_t count = 0;
    for (;;) {
        while (p < end && is_space(*p))
            p++;
        if (p == end || *p == '\0')
            break;
        tu_check(count < most, "more words than fit in a line");
        char *start = bytes;
        if (!take_word(&p, end, &bytes)) {
            tu_free(items);
            return -EINVAL;
        }
        items[count++] = (struct slice){start, (size_t)(bytes - start)};
        *bytes++ = '\0';
    }
    out->items = items;
    out->count = count;
    return 0;
}

void words_free(struct words *words)
{
    tu_free(words->items);
    *words = (struct words){0};
}
