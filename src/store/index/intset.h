/* intset.h - a small set of integers, ascending, in one run of bytes.
 *
 *     | width 1 | integer | integer | ...           width: 2, 4 or 8 bytes each, as the widest needs
 *
 * Reading is pure. Who owns the bytes differs, so changing goes through a struct packed_store (packed.h). Removing
 * never makes the width smaller. Any change invalidates positions and pointers into the bytes. Bytes from outside must
 * pass intset_is_valid first.
 */
#pragma once

#include "store/index/packed.h"

struct intset {
    const unsigned char *bytes; /* not aligned */
    size_t size;                /* the width included */
};

enum { INTSET_HEAD = 1, INTSET_WIDTH_MIN = 2 };

/* Makes INTSET_HEAD bytes an intset without elements. */
static inline void intset_init(unsigned char *bytes)
{
    bytes[0] = INTSET_WIDTH_MIN;
}
static inline size_t intset_count(struct intset s)
{
    return (s.size - INTSET_HEAD) / s.bytes[0];
}
/* The integer number `index`, which there is. */
int64_t intset_get(struct intset s, size_t index);
/* True if it is there. *at: its number, or that of the first larger one. */
bool intset_find(struct intset s, int64_t value, size_t *at);

/* Puts a value, which is not there, where intset_find said. False: out of memory, nothing has changed. */
bool intset_insert(const struct packed_store *store, struct intset s, size_t at, int64_t value);
/* Takes `count` integers out from number `at` on. */
void intset_remove(const struct packed_store *store, struct intset s, size_t at, size_t count);

/* A width that there is, whole integers, each larger than the one before. */
bool intset_is_valid(struct intset s);
