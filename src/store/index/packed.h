/* packed.h - a small sequence of strings and integers in one run of bytes.
 *
 *     | count 2 | element | element | ...           count PACKED_UNCOUNTED: too many to say, walk
 *     element = | head and bytes | size of the part before, readable backwards |
 *
 * The elements are those of Valkey's and Redis's listpack (format: listpack.md of its author, antirez),
 * so that DUMP and RDB only put its frame around them:
 *
 *     0xxxxxxx           integer 0..127              11110001 + 2   int16
 *     10xxxxxx + bytes   string up to 63             11110010 + 3   int24
 *     110xxxxx + 1       13 bit integer              11110011 + 4   int32
 *     1110xxxx + 1 + ..  string up to 4095           11110100 + 8   int64
 *     11110000 + 4 + ..  string up to 4 GiB
 *
 * Where only few ask for what is before an element, the sizes at the ends are left out (`bare`): small hashes, and the
 * nodes in the middle of a list. packed_prev then walks from the beginning.
 *
 * A string that is an int64 in canonical form is always held as an integer.
 *
 * Reading is pure. Changing goes through a struct packed_store, because who owns the bytes differs: an
 * entry (types/value.h), a blob (quicklist and stream nodes). A position is the offset of an element, or
 * the size of the whole for "behind the last". Changes invalidate all positions behind them, and
 * all pointers into the bytes. Bytes from outside must pass packed_is_valid first.
 */
#pragma once

#include "base/number.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packed {
    const unsigned char *bytes;
    size_t size : 63; /* the count included */
    size_t bare : 1;  /* elements without their sizes behind them */
};

static inline struct packed packed_from(const unsigned char *bytes, size_t size)
{
    return (struct packed){bytes, size, 0};
}

enum { PACKED_HEAD = 2, PACKED_UNCOUNTED = UINT16_MAX };

struct packed_item {
    bool is_integer;
    int64_t integer;    /* when it is one */
    struct slice bytes; /* else; points into the packed */
    char digits[NUMBER_INT64_MAX_SIZE];
};

/* Elements; walks when there are too many for the header. */
size_t packed_count(struct packed p);
static inline size_t packed_first(struct packed p)
{
    return p.size > PACKED_HEAD ? PACKED_HEAD : p.size;
}
size_t packed_next_slow(struct packed p, size_t at);
/* The element behind the one at `at`, or p.size. */
static inline size_t packed_next(struct packed p, size_t at)
{
    unsigned b = p.bytes[at];
    if (__builtin_expect(b >= 0xc0, 0))
        return packed_next_slow(p, at);
    return at + 2 - p.bare + (b >= 0x80 ? b & 0x3f : 0); /* head, short string, size of both */
}
/* The element before the one at `at` (or before the end); 0: there is none. */
size_t packed_prev(struct packed p, size_t at);
/* The element number `index`, from the end if negative (-1: the last); p.size: there is none. */
size_t packed_seek(struct packed p, int64_t index);
void packed_get(struct packed p, size_t at, struct packed_item *out);
/* The element as text, in the packed or in item->digits. */
struct slice packed_text(struct packed_item *item);
/* The first element from `from` on that equals `value`, looking at every `step`-th only; p.size: none. */
size_t packed_find(struct packed p, size_t from, size_t step, struct slice value);
bool packed_equals(const struct packed_item *item, struct slice value);
/* Whole elements from beginning to end, each readable both ways, as many as the count says. */
bool packed_is_valid(struct packed p);

/* Aborts if it is not valid, or no sequence of groups of `each` whose first elements all differ. For tests. */
void packed_verify_names(struct packed p, size_t each);

/* Bytes that this value takes as an element with its size. */
size_t packed_item_size(struct slice value);
/* Writes it: packed_item_size bytes. Returns the end. */
unsigned char *packed_write(unsigned char *to, struct slice value);
/* The same for an integer. */
size_t packed_integer_size(int64_t value);
unsigned char *packed_write_integer(unsigned char *to, int64_t value);
void packed_set_count(unsigned char *bytes, size_t count);

/* How many bytes the sizes would take that a bare packed has not. */
size_t packed_sizes(struct packed p);
enum { PACKED_SIZES_MAX = 5 }; /* for each element */
/* Writes a bare one with the sizes, p.size + packed_sizes(p) bytes: how many. */
size_t packed_dress(unsigned char *to, struct packed p);
/* Writes one with sizes bare: at most p.size - packed_count(p) bytes. Returns how many. */
size_t packed_strip(unsigned char *to, struct packed p);

/* As packed_is_valid, for bytes with sizes from elsewhere whose count may say anything: *count is what there is, and *canonical,
 * whether each element is what packed_write would make of it. */
bool packed_check(struct packed p, size_t *count, bool *canonical);

/* Who owns the bytes. `hole` replaces `removed` bytes at `at` by `inserted` undefined ones and returns
 * the new beginning of all, or NULL: out of memory, nothing has changed. */
struct packed_store {
    unsigned char *(*hole)(void *owner, size_t at, size_t removed, size_t inserted);
    void *owner;
};

/* Puts `count` elements before the one at `at`. The values must not lie in the packed itself. False:
 * out of memory, nothing has changed. `p` is what it was before. */
bool packed_insert(const struct packed_store *store, struct packed p, size_t at,
                   const struct slice *values, size_t count);
bool packed_replace(const struct packed_store *store, struct packed p, size_t at,
                    struct slice value);
/* Takes `count` elements out from `at` on, or as many as there are. */
void packed_remove(const struct packed_store *store, struct packed p, size_t at, size_t count);
