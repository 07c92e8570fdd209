/* text.h - text that grows, and words as configuration files quote them.
 *
 * One owner; never parks. When memory runs out the text is marked failed and further additions do
 * nothing: check once, at the end.
 */
#pragma once

#include "base/slice.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; /* null-terminated once something was added; NULL before. tu_free when done */
    size_t size, capacity;
    bool failed;
};

void text_add(struct text *t, struct slice bytes);
void text_add_string(struct text *t, const char *string);
void text_addf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_addv(struct text *t, const char *format, va_list args);
/* "bytes" in double quotes, with \n \r \t \a \b \\ \" and \xHH for what is not printable. */
void text_add_quoted(struct text *t, struct slice bytes);
void text_free(struct text *t); /* and makes it empty again */
static inline struct slice text_slice(const struct text *t)
{
    return (struct slice){t->data, t->size};
}

/* Words separated by white space. "..." knows the escapes above, '...' only \'. A closing quote must
 * be followed by white space or the end. */
struct words {
    struct slice *items; /* each null-terminated; all in one block with the array */
    size_t count;
};
/* 0, -EINVAL (unbalanced quotes) or -ENOMEM. *out needs words_free after success. */
int words_split(struct slice line, struct words *out) __attribute__((warn_unused_result));
void words_free(struct words *words);

/* A copy on the heap, null-terminated; NULL: out of memory. */
char *text_copy(struct slice bytes);
