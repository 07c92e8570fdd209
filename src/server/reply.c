/* reply.c - RESP2 and RESP3 encodings. Each function asks for the most its bytes may take, writes
 * them in place and moves on; there is no second buffer and no formatting function on the way of
 * integers, bulk strings and headers.
 */
#include "server/reply.h"

#include "base/number.h"
#include "server/output_room.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <tuco/go.h>
#include <tuco/mem.h>

enum { LONG_REPLY = 8192 }; /* elements */

int reply_protocol(const struct reply *r)
{
    return r->protocol;
}

bool reply_overflowed(const struct reply *r)
{
    return r->overflow;
}

bool reply_had_error(const struct reply *r)
{
    return r->had_error;
}

void reply_raw(struct reply *r, struct slice bytes)
{
    char *to = reply_room(r, bytes.size);
    if (!to || bytes.size == 0)
        return;
    memcpy(to, bytes.data, bytes.size);
    r->next = to + bytes.size;
}

/* <type><number>\r\n at `to`; returns its size. */
static inline size_t write_number(char *to, char type, int64_t value)
{
    to[0] = type;
    if ((uint64_t)value < 10) {
        to[1] = (char)('0' + value);
        to[2] = '\r';
        to[3] = '\n';
        return 4;
    }
    size_t size = 1 + number_format_int64(to + 1, value);
    to[size++] = '\r';
    to[size++] = '\n';
    return size;
}

static inline void number_line(struct reply *r, char type, int64_t value)
{
    char *to = reply_room(r, REPLY_HEADER_MAX);
    if (to)
        r->next = to + write_number(to, type, value);
}

void reply_integer(struct reply *r, int64_t value)
{
    number_line(r, ':', value);
}

void reply_ok(struct reply *r)
{
    reply_raw(r, SLICE("+OK\r\n"));
}

/* <type>text\r\n, with line ends in the text made blanks. */
static void text_line(struct reply *r, char type, struct slice text)
{
    char *to = reply_room(r, text.size + 3);
    if (!to)
        return;
    *to++ = type;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        *to++ = c == '\r' || c == '\n' ? ' ' : c;
    }
    *to++ = '\r';
    *to++ = '\n';
    r->next = to;
}

void reply_simple(struct reply *r, const char *text)
{
    text_line(r, '+', slice_of(text));
}

static void error_line(struct reply *r, struct slice text)
{
    r->had_error = true;
    if (r->count_error) {
        const char *blank = memchr(text.data, ' ', text.size);
        size_t size = blank ? (size_t)(blank - text.data) : text.size;
        r->count_error(r->count_context, (struct slice){text.data, size});
    }
    text_line(r, '-', text);
}

void reply_error(struct reply *r, const char *text)
{
    error_line(r, slice_of(text));
}

/* Formats to `buffer`, or to a block of the right size that the caller frees. */
static char *format_text(char *buffer, size_t size, struct slice *out, const char *format,
                         va_list list)
{
    va_list again;
    va_copy(again, list);
    int length = vsnprintf(buffer, size, format, list);
    char *block = NULL;
    if (length < 0)
        length = 0;
    if ((size_t)length >= size) {
        block = tu_alloc((size_t)length + 1);
        if (block)
            length = vsnprintf(block, (size_t)length + 1, format, again);
        else
            length = (int)size - 1;
    }
    va_end(again);
    *out = (struct slice){block ? block : buffer, (size_t)length};
    return block;
}

void reply_errorf(struct reply *r, const char *format, ...)
{
    char buffer[512];
    struct slice text;
    va_list list;
    va_start(list, format);
    char *block = format_text(buffer, sizeof buffer, &text, format, list);
    va_end(list);
    error_line(r, text);
    tu_free(block);
}

void reply_bulk(struct reply *r, struct slice bytes)
{
    char *to = reply_room(r, REPLY_HEADER_MAX + bytes.size + 2);
    if (!to)
        return;
    to += write_number(to, '$', (int64_t)bytes.size);
    if (bytes.size > 0)
        memcpy(to, bytes.data, bytes.size);
    to += bytes.size;
    *to++ = '\r';
    *to++ = '\n';
    r->next = to;
}

void reply_bulk_string(struct reply *r, const char *string)
{
    reply_bulk(r, slice_of(string));
}

void reply_bulkf(struct reply *r, const char *format, ...)
{
    char buffer[512];
    struct slice text;
    va_list list;
    va_start(list, format);
    char *block = format_text(buffer, sizeof buffer, &text, format, list);
    va_end(list);
    reply_bulk(r, text);
    tu_free(block);
}

void reply_bulk_integer(struct reply *r, int64_t value)
{
    char digits[NUMBER_INT64_MAX_SIZE];
    reply_bulk(r, (struct slice){digits, number_format_int64(digits, value)});
}

void reply_null(struct reply *r)
{
    if (r->protocol >= 3)
        reply_raw(r, SLICE("_\r\n"));
    else
        reply_raw(r, SLICE("$-1\r\n"));
}

void reply_null_array(struct reply *r)
{
    if (r->protocol >= 3)
        reply_raw(r, SLICE("_\r\n"));
    else
        reply_raw(r, SLICE("*-1\r\n"));
}

void reply_boolean(struct reply *r, bool value)
{
    if (r->protocol >= 3)
        reply_raw(r, value ? SLICE("#t\r\n") : SLICE("#f\r\n"));
    else
        reply_integer(r, value);
}

void reply_double(struct reply *r, double value)
{
    char text[NUMBER_DOUBLE_MAX_SIZE];
    struct slice digits = {text, number_format_double(text, value)};
    if (r->protocol >= 3)
        text_line(r, ',', digits);
    else
        reply_bulk(r, digits);
}

void reply_big_number(struct reply *r, struct slice digits)
{
    if (r->protocol >= 3)
        text_line(r, '(', digits);
    else
        reply_bulk(r, digits);
}

void reply_verbatim(struct reply *r, const char format[4], struct slice text)
{
    if (r->protocol < 3) {
        reply_bulk(r, text);
        return;
    }
    char *to = reply_room(r, REPLY_HEADER_MAX + 4 + text.size + 2);
    if (!to)
        return;
    to += write_number(to, '=', (int64_t)text.size + 4);
    memcpy(to, format, 3);
    to[3] = ':';
    to += 4;
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    to += text.size;
    *to++ = '\r';
    *to++ = '\n';
    r->next = to;
}

/* ---- aggregates ---- */

/* Type byte and length of an aggregate in the client's protocol. */
static size_t write_aggregate(const struct reply *r, char *to, char type, size_t count)
{
    if (r->protocol < 3) {
        if (type == '%')
            count *= 2;
        type = '*';
    }
    return write_number(to, type, (int64_t)count);
}

/* What takes a millisecond and more to write is announced, so that nobody waits behind it. */
static void aggregate(struct reply *r, char type, size_t count)
{
    if (count >= LONG_REPLY)
        tu_step_aside();
    char *to = reply_room(r, REPLY_HEADER_MAX);
    if (to)
        r->next = to + write_aggregate(r, to, type, count);
}

void reply_array(struct reply *r, size_t count)
{
    aggregate(r, '*', count);
}

void reply_map(struct reply *r, size_t pairs)
{
    aggregate(r, '%', pairs);
}

void reply_set(struct reply *r, size_t count)
{
    aggregate(r, '~', count);
}

void reply_push(struct reply *r, size_t count)
{
    aggregate(r, '>', count);
}

void reply_attribute(struct reply *r, size_t pairs)
{
    if (r->protocol >= 3)
        aggregate(r, '|', pairs);
}

static void deferred_end(struct reply *r, struct reply_mark mark, char type, size_t count)
{
    char header[REPLY_HEADER_MAX];
    reply_deferred_close(r, mark, header, write_aggregate(r, header, type, count));
}

void reply_deferred_array(struct reply *r, struct reply_mark mark, size_t count)
{
    deferred_end(r, mark, '*', count);
}

void reply_deferred_map(struct reply *r, struct reply_mark mark, size_t pairs)
{
    deferred_end(r, mark, '%', pairs);
}

void reply_deferred_set(struct reply *r, struct reply_mark mark, size_t count)
{
    deferred_end(r, mark, '~', count);
}
