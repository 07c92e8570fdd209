/* quicklist.c - see quicklist.h.
 *
 * Problem: pushes and pops at both ends, an index in the middle, and a few bytes for each element. A linked list of
 * elements takes 16 bytes of pointers and an allocation each; one array moves everything when its head changes. A chain
 * of arrays of some KiB does neither. A tree over the nodes (index in O(log n)) was rejected: a million elements are
 * two thousand nodes, which a walk passes in microseconds, and every push would pay for it.
 *
 * The blocks of nodes at the ends have slack; a node that gets a neighbour beyond it gives its slack back, and the sizes
 * behind its elements: of a list of short elements that is a fifteenth. They cost a copy of the node when it becomes the tail.
 */
#include "store/index/quicklist.h"

#include "base/check.h"

#include <string.h>
#include <tuco/mem.h>

enum {
    SAFE_BYTES = 8192, /* with a limit of elements: bytes of a node all the same */
    ELEMENT_EXTRA = 8, /* what the peers reckon for an element beyond its text */
};

/* ---- limits ---- */

static size_t byte_limit(int64_t fill)
{
    int64_t level = fill < -5 ? 5 : -fill;
    return fill >= 0 ? SAFE_BYTES : (size_t)2048 << level;
}

static size_t element_limit(int64_t fill)
{
    return fill < 0 ? SIZE_MAX : fill == 0 ? 1 : (size_t)fill;
}

bool quicklist_fits(int64_t fill, size_t bytes, size_t count)
{
    return bytes <= byte_limit(fill) && count <= element_limit(fill);
}

bool quicklist_fits_half(int64_t fill, size_t bytes, size_t count)
{
    return fill < 0 ? bytes <= byte_limit(fill) / 2 : count <= element_limit(fill) / 2;
}

static bool is_huge(struct slice value, int64_t fill)
{
    return value.size > byte_limit(fill);
}

/* Bytes of a packed node as a listpack would count them. */
static size_t dressed_size(const struct quicklist_node *node)
{
    return node->size + (node->bare ? packed_sizes(quicklist_packed(node)) : 0);
}

/* One more element of this size may go into the node. */
static bool has_room(const struct quicklist_node *node, struct slice value, int64_t fill)
{
    return node && !node->plain && !is_huge(value, fill) &&
           quicklist_fits(fill, dressed_size(node) + QUICKLIST_FRAME + value.size + ELEMENT_EXTRA,
                          (size_t)node->count + 1);
}

/* ---- nodes ---- */

static void free_node(struct quicklist_node *node)
{
    tu_free(node->bytes);
    tu_free(node);
}

/* With `size` undefined bytes. */
static struct quicklist_node *new_node(size_t size, size_t count, bool plain)
{
    struct quicklist_node *node = tu_alloc(sizeof *node);
    if (!node)
        return NULL;
    *node = (struct quicklist_node){.size = size, .count = (uint32_t)count, .plain = plain};
    node->bytes = tu_alloc(size > 0 ? size : 1);
    if (!node->bytes) {
        tu_free(node);
        return NULL;
    }
    return node;
}

/* With `room` bytes of elements to be written behind the head. */
static struct quicklist_node *new_packed_node(size_t room, size_t count)
{
    struct quicklist_node *node = new_node(PACKED_HEAD + room, count, false);
    if (node)
        packed_set_count(node->bytes, count);
    return node;
}

/* With one element, as its size demands. */
static struct quicklist_node *new_element_node(struct slice value, int64_t fill)
{
    if (is_huge(value, fill)) {
        struct quicklist_node *node = new_node(value.size, 1, true);
        if (node)
            memcpy(node->bytes, value.data, value.size);
        return node;
    }
    struct quicklist_node *node = new_packed_node(packed_item_size(value), 1);
    if (node)
        packed_write(node->bytes + PACKED_HEAD, value);
    return node;
}

/* Gives slack back, if that can be done. */
static void trim_node(struct quicklist_node *node)
{
    if (tu_good_size(node->size) < tu_usable_size(node->bytes)) {
        unsigned char *moved = tu_realloc(node->bytes, node->size);
        if (moved)
            node->bytes = moved;
    }
}

/* Leaves the sizes out, if there is memory for that. */
static void strip_node(struct quicklist_node *node)
{
    struct packed p = quicklist_packed(node);
    if (node->plain || node->bare)
        return;
    unsigned char *bytes = tu_alloc(p.size - node->count);
    if (!bytes)
        return;
    node->size = packed_strip(bytes, p);
    tu_free(node->bytes);
    node->bytes = bytes;
    node->bare = true;
    trim_node(node);
}

/* False: out of memory. */
static bool dress_node(struct quicklist_node *node)
{
    struct packed p = quicklist_packed(node);
    if (node->plain || !node->bare)
        return true;
    size_t size = p.size + packed_sizes(p);
    unsigned char *bytes = tu_alloc(size);
    if (!bytes)
        return false;
    packed_dress(bytes, p);
    tu_free(node->bytes);
    node->bytes = bytes;
    node->size = size;
    node->bare = false;
    return true;
}

/* A node that is not at an end, or not any more, takes no more memory than it must. */
static void settle_node(struct quicklist_node *node)
{
    if (node->prev && node->next)
        strip_node(node);
    else
        trim_node(node);
}

/* Puts it beside `at` (NULL: as the only one), with its elements. */
static void link_node(struct quicklist *q, struct quicklist_node *at, bool after,
                      struct quicklist_node *node)
{
    node->prev = after ? at : at ? at->prev : NULL;
    node->next = !after ? at : at ? at->next : NULL;
    *(node->prev ? &node->prev->next : &q->head) = node;
    *(node->next ? &node->next->prev : &q->tail) = node;
    q->count += node->count;
    q->nodes++;
}

static void drop_node(struct quicklist *q, struct quicklist_node *node)
{
    *(node->prev ? &node->prev->next : &q->head) = node->next;
    *(node->next ? &node->next->prev : &q->tail) = node->prev;
    q->count -= node->count;
    q->nodes--;
    free_node(node);
}

/* The owner of a node's bytes, for packed.h. */
struct owner {
    struct quicklist_node *node;
    size_t enough; /* no slack beyond this */
};

static bool resize(const struct owner *o, size_t after)
{
    struct quicklist_node *node = o->node;
    size_t usable = tu_usable_size(node->bytes), wanted = after + after / 2;
    if (after <= usable && after >= usable / 4)
        return true;
    if (wanted > o->enough)
        wanted = after > o->enough ? after : o->enough;
    unsigned char *moved = tu_realloc(node->bytes, wanted);
    if (moved)
        node->bytes = moved;
    return moved || after <= usable;
}

static unsigned char *hole(void *owner, size_t at, size_t removed, size_t inserted)
{
    struct owner *o = owner;
    struct quicklist_node *node = o->node;
    size_t after = node->size - removed + inserted, rest = node->size - at - removed;
    if (inserted > removed && !resize(o, after))
        return NULL;
    memmove(node->bytes + at + inserted, node->bytes + at + removed, rest);
    node->size = after;
    if (inserted < removed)
        (void)resize(o, after);
    return node->bytes;
}

/* Puts the value before the element at `offset` of a packed node. */
static bool insert_into(struct quicklist *q, struct quicklist_node *node, size_t offset,
                        struct slice value, int64_t fill)
{
    struct owner owner = {node, byte_limit(fill)};
    struct packed_store store = {hole, &owner};
    if (!packed_insert(&store, quicklist_packed(node), offset, &value, 1))
        return false;
    node->count++;
    q->count++;
    return true;
}

/* Takes elements out of a packed node, which keeps at least one: `count`, or as many as there are. */
static void remove_from(struct quicklist *q, struct quicklist_node *node, size_t offset,
                        size_t count)
{
    struct owner owner = {node, SIZE_MAX};
    struct packed_store store = {hole, &owner};
    struct packed p = quicklist_packed(node);
    size_t removed = 0;
    for (size_t at = offset; at < p.size && removed < count; at = packed_next(p, at))
        removed++;
    packed_remove(&store, p, offset, removed);
    node->count -= (uint32_t)removed;
    q->count -= removed;
}

/* ---- whole lists ---- */

struct quicklist *quicklist_new(void)
{
    struct quicklist *q = tu_alloc(sizeof *q);
    if (q)
        *q = (struct quicklist){0};
    return q;
}

bool quicklist_append_packed(struct quicklist *q, struct packed p)
{
    size_t count = packed_count(p);
    struct quicklist_node *node = new_packed_node(p.size - PACKED_HEAD, count);
    if (!node)
        return false;
    memcpy(node->bytes + PACKED_HEAD, p.bytes + PACKED_HEAD, p.size - PACKED_HEAD);
    node->bare = p.bare;
    link_node(q, q->tail, true, node);
    if (node->prev)
        settle_node(node->prev);
    return true;
}

bool quicklist_append_plain(struct quicklist *q, struct slice element)
{
    struct quicklist_node *node = new_node(element.size, 1, true);
    if (!node)
        return false;
    if (element.size > 0)
        memcpy(node->bytes, element.data, element.size);
    link_node(q, q->tail, true, node);
    return true;
}

struct quicklist *quicklist_of_packed(struct packed p)
{
    struct quicklist *q = quicklist_new();
    if (q && p.size > PACKED_HEAD && !quicklist_append_packed(q, p)) {
        tu_free(q);
        return NULL;
    }
    return q;
}

bool quicklist_is_one(const struct quicklist *q)
{
    return q->nodes == 1 && !q->head->plain && dress_node(q->head);
}

void quicklist_free(struct quicklist *q)
{
    for (struct quicklist_node *node = q->head, *next; node; node = next) {
        next = node->next;
        free_node(node);
    }
    tu_free(q);
}

struct quicklist *quicklist_copy(const struct quicklist *q)
{
    struct quicklist *copy = quicklist_new();
    for (const struct quicklist_node *node = q->head; copy && node; node = node->next) {
        struct slice element = {(const char *)node->bytes, node->size};
        if (node->plain ? quicklist_append_plain(copy, element)
                        : quicklist_append_packed(copy, quicklist_packed(node)))
            continue;
        quicklist_free(copy);
        copy = NULL;
    }
    return copy;
}

size_t quicklist_memory(const struct quicklist *q)
{
    size_t bytes = tu_usable_size(q);
    for (const struct quicklist_node *node = q->head; node; node = node->next)
        bytes += tu_usable_size(node) + tu_usable_size(node->bytes);
    return bytes;
}

void quicklist_verify(const struct quicklist *q)
{
    size_t count = 0, nodes = 0;
    const struct quicklist_node *before = NULL;
    for (const struct quicklist_node *node = q->head; node; before = node, node = node->next) {
        tu_check(node->prev == before, "a node's prev");
        tu_check(node->size <= tu_usable_size(node->bytes), "a node's bytes");
        tu_check(node->count > 0, "a node without elements");
        if (node->plain)
            tu_check(node->count == 1, "a plain node with more than one element");
        else
            tu_check(packed_is_valid(quicklist_packed(node)) &&
                         packed_count(quicklist_packed(node)) == node->count,
                     "a packed node");
        count += node->count;
        nodes++;
    }
    tu_check(q->tail == before, "the tail");
    tu_check(count == q->count && nodes == q->nodes, "the counts");
}

/* ---- finding ---- */

static struct quicklist_at at_first(struct quicklist_node *node)
{
    return (struct quicklist_at){node, PACKED_HEAD};
}

static struct quicklist_at at_last(struct quicklist_node *node)
{
    if (!node || node->plain)
        return at_first(node);
    (void)dress_node(node); /* else it takes longer */
    return (struct quicklist_at){node, packed_prev(quicklist_packed(node), node->size)};
}

static struct quicklist_at at_index(struct quicklist_node *node, size_t index)
{
    if (node->plain)
        return at_first(node);
    return (struct quicklist_at){node, packed_seek(quicklist_packed(node), (int64_t)index)};
}

struct quicklist_at quicklist_seek(const struct quicklist *q, int64_t index)
{
    size_t i = (size_t)(index < 0 ? index + (int64_t)q->count : index), from_end;
    struct quicklist_node *node;
    if (i >= q->count)
        return (struct quicklist_at){0};
    if (i < q->count / 2) {
        for (node = q->head; i >= node->count; node = node->next)
            i -= node->count;
        return at_index(node, i);
    }
    for (node = q->tail, from_end = q->count - i; from_end > node->count; node = node->prev)
        from_end -= node->count;
    return from_end == 1 ? at_last(node) : at_index(node, node->count - from_end);
}

void quicklist_get(struct quicklist_at at, struct packed_item *out)
{
    if (!at.node->plain) {
        packed_get(quicklist_packed(at.node), at.offset, out);
        return;
    }
    out->is_integer = false;
    out->bytes = (struct slice){(const char *)at.node->bytes, at.node->size};
}

struct quicklist_at quicklist_next(struct quicklist_at at)
{
    if (!at.node->plain) {
        at.offset = packed_next(quicklist_packed(at.node), at.offset);
        if (at.offset < at.node->size)
            return at;
    }
    return at_first(at.node->next);
}

struct quicklist_at quicklist_prev(struct quicklist_at at)
{
    if (!at.node->plain) {
        at.offset = packed_prev(quicklist_packed(at.node), at.offset);
        if (at.offset > 0)
            return at;
        settle_node(at.node);
    }
    return at_last(at.node->prev);
}

static bool is_first(struct quicklist_at at)
{
    return at.offset == PACKED_HEAD;
}

static bool is_last(struct quicklist_at at)
{
    return at.node->plain || packed_next(quicklist_packed(at.node), at.offset) == at.node->size;
}

/* ---- changing ---- */

bool quicklist_push(struct quicklist *q, enum quicklist_end end, struct slice value, int64_t fill)
{
    bool tail = end == QUICKLIST_TAIL;
    struct quicklist_node *at = tail ? q->tail : q->head;
    if (at && !dress_node(at))
        return false;
    if (has_room(at, value, fill))
        return insert_into(q, at, tail ? at->size : PACKED_HEAD, value, fill);
    struct quicklist_node *node = new_element_node(value, fill);
    if (!node)
        return false;
    link_node(q, at, tail, node);
    if (at)
        settle_node(at);
    return true;
}

/* Cuts the node in two at the boundary `offset`; the new one, not linked, has the part behind it. NULL: out of memory. */
static struct quicklist_node *copy_tail(const struct quicklist_node *node, size_t offset)
{
    size_t count = 0;
    struct packed p = quicklist_packed(node);
    for (size_t at = offset; at < p.size; at = packed_next(p, at))
        count++;
    struct quicklist_node *tail = new_packed_node(p.size - offset, count);
    if (tail) {
        memcpy(tail->bytes + PACKED_HEAD, p.bytes + offset, p.size - offset);
        tail->bare = p.bare;
    }
    return tail;
}

static void cut_tail(struct quicklist *q, struct quicklist_node *node, size_t offset, size_t count)
{
    node->size = offset;
    node->count -= (uint32_t)count;
    q->count -= count;
    packed_set_count(node->bytes, node->count);
    trim_node(node);
}

static bool may_merge(const struct quicklist_node *a, const struct quicklist_node *b, int64_t fill)
{
    return a && b && !a->plain && !b->plain &&
           quicklist_fits(fill, dressed_size(a) + dressed_size(b) - PACKED_HEAD + QUICKLIST_FRAME,
                          (size_t)a->count + b->count);
}

/* Makes one node of two neighbours that may be merged; without memory they stay two. Returns the one where a's
 * elements are. */
static struct quicklist_node *merge(struct quicklist *q, struct quicklist_node *a, int64_t fill)
{
    struct quicklist_node *b = a->next;
    if (!may_merge(a, b, fill) || (a->bare != b->bare && (!dress_node(a) || !dress_node(b))))
        return a;
    size_t end = a->size, more = b->size - PACKED_HEAD;
    struct owner owner = {a, byte_limit(fill)};
    if (!hole(&owner, end, 0, more))
        return a;
    memcpy(a->bytes + end, b->bytes + PACKED_HEAD, more);
    a->count += b->count;
    q->count += b->count;
    packed_set_count(a->bytes, a->count);
    drop_node(q, b);
    return a;
}

/* After a split: the two before `center` become one if they may, the two behind it, then center and what is beside it. */
static void merge_around(struct quicklist *q, struct quicklist_node *center, int64_t fill)
{
    if (center->prev && center->prev->prev)
        merge(q, center->prev->prev, fill);
    if (center->next)
        merge(q, center->next, fill);
    if (center->prev && may_merge(center->prev, center, fill))
        center = merge(q, center->prev, fill);
    merge(q, center, fill);
}

/* Splits the node beside the element and puts a node with the value in between. */
static bool insert_between(struct quicklist *q, struct quicklist_at at, size_t boundary,
                           struct slice value, int64_t fill)
{
    struct quicklist_node *node = new_element_node(value, fill);
    if (!node)
        return false;
    struct quicklist_node *tail = copy_tail(at.node, boundary);
    if (!tail) {
        free_node(node);
        return false;
    }
    cut_tail(q, at.node, boundary, tail->count);
    link_node(q, at.node, true, node);
    link_node(q, node, true, tail);
    return true;
}

/* Splits the node beside the element; the value goes to the part without the element. */
static bool insert_splitting(struct quicklist *q, struct quicklist_at at, size_t boundary,
                             bool after, struct slice value, int64_t fill)
{
    struct quicklist_node *tail = copy_tail(at.node, boundary);
    if (!tail)
        return false;
    size_t moved = tail->count;
    struct quicklist part = {0}; /* what insert_into counts does not matter before it is linked */
    if (after && !insert_into(&part, tail, PACKED_HEAD, value, fill)) {
        free_node(tail);
        return false;
    }
    if (!after) {
        /* Room for the value first: the node gets smaller by at least as many bytes, or not. */
        struct owner owner = {at.node, byte_limit(fill)};
        if (!resize(&owner, boundary + packed_item_size(value))) {
            free_node(tail);
            return false;
        }
    }
    at.node->size = boundary;
    at.node->count -= (uint32_t)moved;
    q->count -= moved;
    packed_set_count(at.node->bytes, at.node->count);
    if (!after)
        tu_check(insert_into(q, at.node, boundary, value, fill), "there was room");
    trim_node(at.node);
    link_node(q, at.node, true, tail);
    merge_around(q, after ? at.node : tail, fill);
    return true;
}

bool quicklist_insert(struct quicklist *q, struct quicklist_at at, bool after, struct slice value,
                      int64_t fill)
{
    struct quicklist_node *node = at.node, *beside = after ? node->next : node->prev;
    bool edge = after ? is_last(at) : is_first(at);
    size_t boundary = node->plain ? 0
                      : after     ? packed_next(quicklist_packed(node), at.offset)
                                  : at.offset;
    if (has_room(node, value, fill))
        return insert_into(q, node, boundary, value, fill);
    if (is_huge(value, fill) && !edge)
        return insert_between(q, at, boundary, value, fill);
    if (!edge)
        return insert_splitting(q, at, boundary, after, value, fill);
    if (has_room(beside, value, fill))
        return insert_into(q, beside, after ? PACKED_HEAD : beside->size, value, fill);
    struct quicklist_node *new = new_element_node(value, fill);
    if (!new)
        return false;
    link_node(q, node, after, new);
    return true;
}

/* A value too large for the packed node of the element: it gets a node of its own. */
static bool replace_by_node(struct quicklist *q, struct quicklist_at at, struct slice value,
                            int64_t fill)
{
    struct quicklist_node *node = at.node;
    size_t boundary = packed_next(quicklist_packed(node), at.offset);
    if (boundary < node->size) {
        if (!insert_between(q, at, boundary, value, fill))
            return false;
    } else {
        struct quicklist_node *new = new_element_node(value, fill);
        if (!new)
            return false;
        link_node(q, node, true, new);
    }
    struct quicklist_node *new = node->next;
    if (node->count == 1) {
        drop_node(q, node);
        return true;
    }
    remove_from(q, node, at.offset, 1);
    merge_around(q, new, fill);
    return true;
}

static bool replace_plain(struct quicklist_node *node, struct slice value)
{
    unsigned char *bytes = tu_alloc(value.size);
    if (!bytes)
        return false;
    memcpy(bytes, value.data, value.size);
    tu_free(node->bytes);
    node->bytes = bytes;
    node->size = value.size;
    return true;
}

bool quicklist_replace(struct quicklist *q, struct quicklist_at at, struct slice value,
                       int64_t fill)
{
    if (at.node->plain && is_huge(value, fill))
        return replace_plain(at.node, value);
    if (at.node->plain) {
        if (!quicklist_insert(q, at, true, value, fill))
            return false;
        drop_node(q, at.node);
        return true;
    }
    if (is_huge(value, fill))
        return replace_by_node(q, at, value, fill);
    struct owner owner = {at.node, byte_limit(fill)};
    struct packed_store store = {hole, &owner};
    return packed_replace(&store, quicklist_packed(at.node), at.offset, value);
}

struct quicklist_at quicklist_remove(struct quicklist *q, struct quicklist_at at, bool backwards)
{
    struct quicklist_at other = backwards ? quicklist_prev(at) : at;
    if (at.node->count == 1) {
        if (!backwards)
            other = at_first(at.node->next);
        drop_node(q, at.node);
        return other;
    }
    remove_from(q, at.node, at.offset, 1);
    if (!backwards && at.offset == at.node->size)
        other = at_first(at.node->next);
    return other;
}

void quicklist_remove_range(struct quicklist *q, size_t first, size_t count)
{
    if (count == 0)
        return;
    struct quicklist_at at = quicklist_seek(q, (int64_t)first);
    for (size_t removed; count > 0; count -= removed) {
        struct quicklist_node *node = at.node;
        size_t offset = at.offset, before = q->count;
        at = at_first(node->next);
        if (offset == PACKED_HEAD && count >= node->count)
            drop_node(q, node);
        else
            remove_from(q, node, offset, count);
        removed = before - q->count;
    }
}
