/* gc_string.c - making, joining, comparing. */
#include <tuco/string.h>

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const tu_string none; /* no memory */

/* Room for `length` bytes and the zero byte behind them, or NULL. */
static char *room(size_t length)
{
    return length < SIZE_MAX ? tu_new_bytes(length + 1) : NULL;
}

tu_string tu_make_string(const void *bytes, size_t length)
{
    if (length == 0)
        return TU_STRING("");
    char *at = room(length);
    if (!at)
        return none;
    memcpy(at, bytes, length);
    return (tu_string){at, length};
}

tu_string tu_string_format(const char *format, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(small, sizeof small, format, args);
    tu_string s = none;
    if (length >= 0 && (size_t)length < sizeof small) {
        s = tu_make_string(small, (size_t)length);
    } else if (length >= 0) {
        char *at = room((size_t)length);
        if (at && vsnprintf(at, (size_t)length + 1, format, again) == length)
            s = (tu_string){at, (size_t)length};
    }
    va_end(again);
    va_end(args);
    return s;
}

tu_string tu_string_join(const tu_string *parts, size_t count, tu_string between)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(length, parts[i].length + (i ? between.length : 0), &length))
            return none;
    if (length == 0)
        return TU_STRING("");
    char *start = room(length), *p = start;
    if (!start)
        return none;
    for (size_t i = 0; i < count; i++) {
        if (i && between.length)
            p = mempcpy(p, between.at, between.length);
        if (parts[i].length)
            p = mempcpy(p, parts[i].at, parts[i].length);
    }
    return (tu_string){start, length};
}

tu_string tu_substring(tu_string s, size_t from, size_t to)
{
    tu_check(from <= to && to <= s.length, "a string of %zu bytes has no range %zu to %zu",
             s.length, from, to);
    return from == to ? TU_STRING("") : (tu_string){s.at + from, to - from};
}

bool tu_string_equal(tu_string a, tu_string b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

int tu_string_compare(tu_string a, tu_string b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.at, b.at, common) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

size_t tu_string_find(tu_string s, tu_string part, size_t from)
{
    if (from > s.length || part.length > s.length - from)
        return SIZE_MAX;
    if (part.length == 0)
        return from;
    const char *found = memmem(s.at + from, s.length - from, part.at, part.length);
    return found ? (size_t)(found - s.at) : SIZE_MAX;
}

void tu_string_assign(const tu_string *to, tu_string s)
{
    tu_string *target = (tu_string *)(uintptr_t)to;
    target->length =
        0; /* as in slice.c: a reader without order sees too little rather than too much */
    tu__gc_set((void *)(uintptr_t)&target->at, s.at);
    target->length = s.length;
}
