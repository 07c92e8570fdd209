/* resp_parse.c - the problem: most commands arrive whole, many in one read, and must cost a few
 * nanoseconds each; a few arrive in pieces, some of them from an enemy who sends a byte at a time.
 *
 * One function per piece of grammar, each of which either consumes its piece and moves `position`,
 * or leaves everything as it was and asks for more. So the state between two calls is just the
 * position, the finished arguments and the announced lengths, and a call with the whole input is
 * the same code path as a thousand calls with a byte each. Announced counts are never trusted for
 * allocation: argv grows with arguments received.
 *
 * Length lines and inline lines are bounded by their length, not by how the bytes were split, so
 * that the answer does not depend on the network. A NUL in an inline line hides its line end, as it
 * does in Redis, which looks for it with a string function.
 */
#include "server/resp_parse.h"

#include "base/check.h"
#include "base/number.h"

#include <limits.h>
#include <stdio.h>
#include <tuco/mem.h>

static enum resp_result fail(struct resp_parser *p, const char *what)
{
    snprintf(p->error, sizeof p->error, "ERR Protocol error: %s", what);
    return RESP_ERROR;
}

void resp_parser_init(struct resp_parser *p, struct slice *argv, size_t capacity)
{
    *p = (struct resp_parser){.argv = argv, .capacity = capacity, .bulk = -1};
}

void resp_parser_next(struct resp_parser *p, struct slice *argv, size_t capacity)
{
    if (p->heap) {
        tu_free(p->heap);
        p->heap = NULL;
    }
    p->position = 0;
    p->argc = 0;
    p->argv = argv;
    p->capacity = capacity;
    p->missing = 0;
    p->bulk = -1;
}

void resp_parser_release(struct resp_parser *p)
{
    tu_free(p->heap);
    p->heap = NULL;
    p->argv = NULL;
    p->argc = p->capacity = 0;
}

/* Makes room for one more argument. */
static bool grow(struct resp_parser *p)
{
    size_t capacity = p->capacity < 16 ? 16 : p->capacity * 2;
    if (capacity > SIZE_MAX / sizeof(struct slice))
        return false;
    struct slice *heap = tu_realloc(p->heap, capacity * sizeof *heap);
    if (!heap)
        return false;
    if (p->argv != p->heap && p->argc > 0)
        memcpy(heap, p->argv, p->argc * sizeof *heap);
    p->heap = p->argv = heap;
    p->capacity = capacity;
    return true;
}

static inline bool push(struct resp_parser *p, const char *data, size_t size)
{
    if (__builtin_expect(p->argc == p->capacity, 0) && !grow(p))
        return false;
    p->argv[p->argc++] = (struct slice){data, size};
    return true;
}

/* A decimal number as Redis reads lengths: no sign but '-', no leading zero, no blanks. */
static bool parse_length(const char *text, size_t size, int64_t *out)
{
    bool negative = size > 1 && text[0] == '-';
    size_t i = negative;
    if (size == i)
        return false;
    if (size - i > 18)
        return number_parse_int64((struct slice){text, size}, out);
    if (text[i] == '0' && (size > 1 || negative))
        return false;
    int64_t value = 0;
    for (; i < size; i++) {
        unsigned digit = (unsigned char)text[i] - '0';
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *out = negative ? -value : value;
    return true;
}

/* The line that begins at `position` with a type byte: its number's text. */
static enum resp_result length_line(struct resp_parser *p, const char *data, size_t size,
                                    const char *too_big, struct slice *line)
{
    const char *start = data + p->position;
    size_t left = size - p->position;
    const char *end = memchr(start, '\r', left < RESP_LINE_MAX ? left : RESP_LINE_MAX);
    if (!end)
        return left > RESP_LINE_MAX ? fail(p, too_big) : RESP_MORE;
    if ((size_t)(end - start) + 2 > left)
        return RESP_MORE;
    if (end[1] != '\n')
        return fail(p, "invalid CRLF in request");
    *line = (struct slice){start, (size_t)(end - start)};
    return RESP_COMMAND;
}

/* "*3\r\n" */
static enum resp_result multibulk_header(struct resp_parser *p, const char *data, size_t size,
                                         const struct resp_limits *limits)
{
    const char *s = data + p->position;
    int64_t count;
    if (size - p->position >= 4 && s[2] == '\r' && s[3] == '\n' && s[1] >= '0' && s[1] <= '9') {
        count = s[1] - '0';
        p->position += 4;
    } else {
        struct slice line;
        enum resp_result result = length_line(p, data, size, "too big mbulk count string", &line);
        if (result != RESP_COMMAND)
            return result;
        if (!parse_length(line.data + 1, line.size - 1, &count) || count > INT_MAX)
            return fail(p, "invalid multibulk length");
        p->position += line.size + 2;
    }
    if (count > RESP_UNAUTHENTICATED_ARGS && !limits->authenticated)
        return fail(p, "unauthenticated multibulk length");
    p->missing = count > 0 ? count : 0;
    return RESP_COMMAND;
}

/* "$5\r\n" */
static enum resp_result bulk_header(struct resp_parser *p, const char *data, size_t size,
                                    const struct resp_limits *limits)
{
    const char *s = data + p->position;
    int64_t bytes;
    if (size - p->position >= 4 && s[0] == '$' && s[2] == '\r' && s[3] == '\n' && s[1] >= '0' &&
        s[1] <= '9') {
        bytes = s[1] - '0';
        p->position += 4;
    } else {
        struct slice line;
        enum resp_result result = length_line(p, data, size, "too big bulk count string", &line);
        if (result != RESP_COMMAND)
            return result;
        if (*s != '$') {
            char text[] = "expected '$', got ' '";
            text[sizeof text - 3] = *s == '\r' || *s == '\n' ? ' ' : *s;
            return fail(p, text);
        }
        if (!parse_length(line.data + 1, line.size - 1, &bytes) || bytes < 0)
            return fail(p, "invalid bulk length");
        p->position += line.size + 2;
    }
    if (bytes > limits->bulk_max_bytes)
        return fail(p, "invalid bulk length");
    if (bytes > RESP_UNAUTHENTICATED_BULK && !limits->authenticated)
        return fail(p, "unauthenticated bulk length");
    p->bulk = bytes;
    return RESP_COMMAND;
}

static enum resp_result multibulk(struct resp_parser *p, char *data, size_t size,
                                  const struct resp_limits *limits)
{
    while (p->missing > 0) {
        if (p->bulk < 0) {
            if (p->position == size)
                return RESP_MORE;
            enum resp_result result = bulk_header(p, data, size, limits);
            if (result != RESP_COMMAND)
                return result;
        }
        size_t left = size - p->position, bulk = (size_t)p->bulk;
        if (left < 2 || left - 2 < bulk)
            return RESP_MORE;
        const char *body = data + p->position;
        if (body[bulk] != '\r' || body[bulk + 1] != '\n')
            return fail(p, "invalid CRLF in request");
        if (!push(p, body, bulk))
            return fail(p, "out of memory");
        p->position += bulk + 2;
        p->bulk = -1;
        p->missing--;
    }
    return RESP_COMMAND;
}

/* ---- inline commands ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What ends a word outside quotes: fewer bytes than are skipped before one. */
static bool ends_word(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte behind a backslash inside double quotes at s[0]; *used bytes are read. */
static char unescape(const char *s, const char *end, size_t *used)
{
    if (end - s >= 3 && s[0] == 'x' && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0) {
        *used = 3;
        return (char)(hex_digit(s[1]) * 16 + hex_digit(s[2]));
    }
    *used = 1;
    switch (s[0]) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return s[0];
    }
}

/* Copies a quoted part that begins behind its opening quote to `to`. Returns where the reading goes
 * on, or NULL if the quote is not closed. What follows belongs to the same word. A backslash before
 * the line's last byte is just a backslash. */
static const char *quoted(const char *s, const char *end, char quote, char **to)
{
    while (s < end) {
        if (*s == quote)
            return s + 1;
        if (*s == '\\' && end - s > 2 && quote == '"') {
            size_t used;
            *(*to)++ = unescape(s + 1, end, &used);
            s += 1 + used;
        } else if (*s == '\\' && end - s > 2 && s[1] == '\'') {
            *(*to)++ = '\'';
            s += 2;
        } else {
            *(*to)++ = *s++;
        }
    }
    return NULL;
}

/* Splits line[0..size) into words, in place. */
static enum resp_result split_words(struct resp_parser *p, char *line, size_t size)
{
    const char *s = line, *end = line + size;
    for (;;) {
        while (s < end && is_blank(*s))
            s++;
        if (s == end)
            return RESP_COMMAND;
        char *word = line + (s - line), *to = word;
        while (s < end && !ends_word(*s)) {
            if (*s == '"' || *s == '\'') {
                char quote = *s;
                s = quoted(s + 1, end, quote, &to);
                if (!s)
                    return fail(p, "unbalanced quotes in request");
            } else {
                *to++ = *s++;
            }
        }
        if (!push(p, word, (size_t)(to - word)))
            return fail(p, "out of memory");
    }
}

static enum resp_result inline_command(struct resp_parser *p, char *data, size_t size)
{
    size_t window = size <= RESP_LINE_MAX ? size : RESP_LINE_MAX + 1;
    char *end = memchr(data, '\n', window);
    if (end && memchr(data, '\0', (size_t)(end - data)))
        end = NULL;
    if (!end)
        return size > RESP_LINE_MAX ? fail(p, "too big inline request") : RESP_MORE;
    size_t line = (size_t)(end - data);
    p->position = line + 1;
    if (line > 0 && data[line - 1] == '\r')
        line--;
    return split_words(p, data, line);
}

enum resp_result resp_parse(struct resp_parser *p, char *data, size_t size,
                            const struct resp_limits *limits)
{
    tu_assert(p->position <= size);
    if (p->position == 0) {
        if (size == 0)
            return RESP_MORE;
        if (data[0] != '*')
            return inline_command(p, data, size);
        enum resp_result result = multibulk_header(p, data, size, limits);
        if (result != RESP_COMMAND)
            return result;
    }
    return multibulk(p, data, size, limits);
}

void resp_parser_move(struct resp_parser *p, const char *from, const char *to)
{
    for (size_t i = 0; i < p->argc; i++)
        p->argv[i].data = to + (p->argv[i].data - from);
}

bool resp_parser_detach(struct resp_parser *p)
{
    if (p->argv == p->heap && p->heap)
        return true;
    size_t capacity = p->argc < 4 ? 4 : p->argc;
    struct slice *heap = tu_alloc(capacity * sizeof *heap);
    if (!heap)
        return false;
    if (p->argc > 0)
        memcpy(heap, p->argv, p->argc * sizeof *heap);
    p->heap = p->argv = heap;
    p->capacity = capacity;
    return true;
}

size_t resp_parser_wanted(const struct resp_parser *p, size_t size)
{
    if (p->bulk < 0)
        return size + 1;
    size_t wanted = p->position + (size_t)p->bulk + 2;
    return wanted > size ? wanted : size + 1;
}

size_t resp_parser_memory(const struct resp_parser *p)
{
    return p->heap ? p->capacity * sizeof *p->heap : 0;
}
