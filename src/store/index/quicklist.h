/* quicklist.h - a long sequence of strings: a chain of nodes, each a packed or one huge element.
 *
 *     head -> | packed | <-> | packed | <-> | plain: one element beyond the limit | <-> | packed | <- tail
 *
 * How much a node holds is said by `fill`, list-max-listpack-size: above 0 elements, -1 .. -5 bytes (4, 8, 16, 32,
 * 64 KiB). It may change between calls. Nodes are filled, split and merged by the peers' rules, because these decide
 * when a list is short enough to become a packed again, which OBJECT ENCODING shows. Sizes are therefore counted as a
 * listpack has them, with its frame.
 *
 * Nodes between others are bare (packed.h): they lose a byte an element, and get it back when they become the tail, when
 * something is pushed or inserted there, and while somebody walks backwards through them. In the sizes that limits are
 * about, a bare node is never compared.
 *
 * Both ends are O(1); an index skips whole nodes from the nearer end. Functions that return bool say false when out of
 * memory: then nothing has changed. Values must not lie in the list. Any change invalidates positions and slices, but
 * for the position that it gives back.
 */
#pragma once

#include "store/index/packed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quicklist_node {
    struct quicklist_node *prev, *next;
    unsigned char *bytes; /* a packed, or the element's bytes */
    size_t size;          /* bytes in use */
    uint32_t count;       /* elements */
    bool plain, bare;
};

struct quicklist {
    struct quicklist_node *head, *tail;
    size_t count; /* elements */
    size_t nodes;
};

enum quicklist_end { QUICKLIST_HEAD, QUICKLIST_TAIL };

/* An element. */
struct quicklist_at {
    struct quicklist_node *node; /* NULL: there is none */
    size_t offset;               /* in the packed */
};

/* ---- limits ---- */

enum {
    QUICKLIST_FRAME = 7 - PACKED_HEAD
}; /* what a listpack has around the elements and a packed has not */
/* True if a node of `count` elements in a listpack of `bytes` keeps within the limit. */
bool quicklist_fits(int64_t fill, size_t bytes, size_t count);
/* The same for half of the limit: the size below which a list becomes a packed again. */
bool quicklist_fits_half(int64_t fill, size_t bytes, size_t count);

/* ---- whole lists ---- */

/* Empty; NULL: out of memory. The caller owns it. */
struct quicklist *quicklist_new(void);
/* One node with a copy of these elements (none: no node). */
struct quicklist *quicklist_of_packed(struct packed p);
/* True if all elements lie in one packed, with the sizes: quicklist_packed(q->head). */
bool quicklist_is_one(const struct quicklist *q);
void quicklist_free(struct quicklist *q);
struct quicklist *quicklist_copy(const struct quicklist *q);
size_t quicklist_memory(const struct quicklist *q);
/* The node as a packed; not for plain ones. */
static inline struct packed quicklist_packed(const struct quicklist_node *node)
{
    return (struct packed){node->bytes, node->size, node->bare};
}
/* Aborts if something is wrong. For tests. */
void quicklist_verify(const struct quicklist *q);

/* Adds a node at the tail with a copy of a valid packed with elements, or with one plain element: for decoders. */
bool quicklist_append_packed(struct quicklist *q, struct packed p);
bool quicklist_append_plain(struct quicklist *q, struct slice element);

/* ---- elements ---- */

/* Negative indexes count from the end. */
struct quicklist_at quicklist_seek(const struct quicklist *q, int64_t index);
void quicklist_get(struct quicklist_at at, struct packed_item *out);
/* The neighbours; node NULL beyond the ends. */
struct quicklist_at quicklist_next(struct quicklist_at at);
struct quicklist_at quicklist_prev(struct quicklist_at at);

bool quicklist_push(struct quicklist *q, enum quicklist_end end, struct slice value, int64_t fill);
/* Puts `value` before or after the element. */
bool quicklist_insert(struct quicklist *q, struct quicklist_at at, bool after, struct slice value,
                      int64_t fill);
bool quicklist_replace(struct quicklist *q, struct quicklist_at at, struct slice value,
                       int64_t fill);
/* Takes the element out; gives its neighbour behind (or, with backwards, before) it. */
struct quicklist_at quicklist_remove(struct quicklist *q, struct quicklist_at at, bool backwards);
/* Takes out `count` elements from number `first` on; there must be as many. */
void quicklist_remove_range(struct quicklist *q, size_t first, size_t count);
