/* stream_object.c - see stream_object.h.
 *
 * A node's counters are elements whose width depends on their value, and deleting must not need memory: so every node
 * has SPARE bytes more than it uses when it is written, more than its counters can ever grow by. A node that is not the
 * last any more will only shrink; then its slack is given back.
 */
#include "store/types/stream_object.h"

#include "base/check.h"
#include "store/digest.h"
#include "store/entry.h"
#include "store/types/stream_group.h"

#include <tuco/mem.h>

#include <stdio.h>

enum { DELETED = 1, SAME_FIELDS = 2 };
enum {
    SPARE = 16,
    PEER_FRAME = 5,            /* what the peers' form of a node has in addition */
    NODE_BYTES_MOST = 1 << 30, /* and of one entry's text */
};

struct stream_node {
    uint32_t size, capacity; /* of bytes */
    unsigned char bytes[];   /* a packed */
};

static struct packed packed_of(const struct stream_node *n)
{
    return packed_from(n->bytes, n->size);
}

static int64_t integer_at(struct packed p, size_t at)
{
    struct packed_item item;
    packed_get(p, at, &item);
    tu_assert(item.is_integer);
    return item.integer;
}

static size_t skip(struct packed p, size_t at, size_t count)
{
    while (count-- > 0)
        at = packed_next(p, at);
    return at;
}

/* ---- memory of nodes ---- */

static size_t node_memory(const struct stream_node *n)
{
    return tu_usable_size(n);
}

static void node_drop(struct stream_object *s, struct id id)
{
    struct stream_node *n = id_tree_remove(&s->nodes, id);
    s->node_bytes -= node_memory(n);
    tu_free(n);
}

/* The node with room for `capacity` bytes. NULL: out of memory. */
static struct stream_node *node_resize(struct stream_object *s, struct id id, struct stream_node *n,
                                       size_t capacity)
{
    size_t before = node_memory(n);
    struct stream_node *moved = tu_realloc(n, sizeof *n + capacity);
    if (!moved)
        return NULL;
    moved->capacity = (uint32_t)(tu_usable_size(moved) - sizeof *n);
    s->node_bytes += node_memory(moved) - before;
    if (moved != n)
        id_tree_replace(&s->nodes, id, moved);
    return moved;
}

static void node_give_back_slack(struct stream_object *s, struct id id, struct stream_node *n)
{
    if (n->capacity > n->size + SPARE + n->size / 16)
        (void)node_resize(s, id, n, n->size + SPARE);
}

/* Writes an integer over the one at `at`. */
static void set_integer(struct stream_node *n, size_t at, int64_t value)
{
    struct packed p = packed_of(n);
    size_t end = packed_next(p, at), size = packed_integer_size(value);
    size_t after = n->size - (end - at) + size;
    tu_check(after <= n->capacity, "a stream's node without room for its counters");
    memmove(n->bytes + at + size, n->bytes + end, n->size - end);
    packed_write_integer(n->bytes + at, value);
    n->size = (uint32_t)after;
}

/* ---- a node's own elements ---- */

struct master {
    int64_t count, deleted;
    size_t deleted_at, fields, names_at;
};

static struct master master_of(struct packed p)
{
    struct master m;
    size_t at = packed_first(p);
    m.count = integer_at(p, at);
    m.deleted_at = at = packed_next(p, at);
    m.deleted = integer_at(p, at);
    at = packed_next(p, at);
    m.fields = (size_t)integer_at(p, at);
    m.names_at = packed_next(p, at);
    return m;
}

static size_t first_entry(struct packed p, const struct master *m)
{
    return skip(p, m->names_at, m->fields + 1);
}

/* `more` entries of it are deleted. */
static void count_deleted(struct stream_node *n, const struct master *m, int64_t more)
{
    set_integer(n, m->deleted_at, m->deleted + more);
    set_integer(n, PACKED_HEAD, m->count - more);
}

/* An entry as it stands in its node. */
struct raw {
    int64_t flags;
    struct id id;
    size_t fields, at; /* the first name or value */
};

static struct id add_delta(struct id id, int64_t ms, int64_t seq)
{
    return (struct id){id.ms + (uint64_t)ms, id.seq + (uint64_t)seq};
}

static struct raw raw_at(struct packed p, size_t at, struct id node_id, size_t master_fields)
{
    struct raw r = {.flags = integer_at(p, at), .fields = master_fields};
    at = packed_next(p, at);
    int64_t ms = integer_at(p, at);
    at = packed_next(p, at);
    r.id = add_delta(node_id, ms, integer_at(p, at));
    r.at = packed_next(p, at);
    if (!(r.flags & SAME_FIELDS)) {
        r.fields = (size_t)integer_at(p, r.at);
        r.at = packed_next(p, r.at);
    }
    return r;
}

static size_t raw_end(struct packed p, const struct raw *r)
{
    return skip(p, r->at, (r->flags & SAME_FIELDS ? r->fields : 2 * r->fields) + 1);
}

/* The entry that ends at `at`. */
static size_t raw_before(struct packed p, size_t at)
{
    at = packed_prev(p, at);
    for (int64_t back = integer_at(p, at); back > 0; back--)
        at = packed_prev(p, at);
    return at;
}

/* ---- reading ---- */

struct stream_cursor stream_cursor_over(const struct stream_object *s, struct id low,
                                        struct id high, bool backwards)
{
    struct stream_cursor c = {.s = s, .low = low, .high = high, .backwards = backwards};
    c.done = id_compare(low, high) > 0;
    return c;
}

static bool open_node(struct stream_cursor *c)
{
    const struct id_tree *nodes = &c->s->nodes;
    struct stream_node *n;
    if (c->backwards) {
        struct id from = c->high;
        if (c->p.bytes) {
            from = c->node_id;
            if (!id_previous(&from))
                return false;
        }
        n = id_tree_at_or_before(nodes, from, &c->node_id);
    } else if (!c->p.bytes) {
        n = id_tree_at_or_before(nodes, c->low, &c->node_id);
        if (!n)
            n = id_tree_at_or_after(nodes, c->low, &c->node_id);
    } else {
        struct id from = c->node_id;
        n = id_next(&from) ? id_tree_at_or_after(nodes, from, &c->node_id) : NULL;
    }
    if (!n || (!c->backwards && id_compare(c->node_id, c->high) > 0))
        return false;
    c->p = packed_of(n);
    struct master m = master_of(c->p);
    c->fields = m.fields;
    c->names_at = m.names_at;
    c->first_at = first_entry(c->p, &m);
    c->at = c->backwards ? c->p.size : c->first_at;
    return true;
}

/* The next entry of any kind. */
static bool step(struct stream_cursor *c, struct raw *r)
{
    while (!c->p.bytes || c->at == (c->backwards ? c->first_at : c->p.size))
        if (!open_node(c))
            return false;
    if (c->backwards) {
        c->at = raw_before(c->p, c->at);
        *r = raw_at(c->p, c->at, c->node_id, c->fields);
    } else {
        *r = raw_at(c->p, c->at, c->node_id, c->fields);
        c->at = raw_end(c->p, r);
    }
    return true;
}

bool stream_cursor_next(struct stream_cursor *c, struct stream_entry *e)
{
    struct raw r;
    while (!c->done && step(c, &r)) {
        int low = id_compare(r.id, c->low), high = id_compare(r.id, c->high);
        c->done = c->backwards ? low <= 0 : high >= 0;
        if (low < 0 || high > 0 || r.flags & DELETED)
            continue;
        *e = (struct stream_entry){.id = r.id,
                                   .fields = r.fields,
                                   .p = c->p,
                                   .at = r.at,
                                   .name_at = c->names_at,
                                   .same = r.flags & SAME_FIELDS};
        return true;
    }
    c->done = true;
    return false;
}

void stream_entry_pair(struct stream_entry *e, struct packed_item *name, struct packed_item *value)
{
    size_t *from = e->same ? &e->name_at : &e->at;
    packed_get(e->p, *from, name);
    *from = packed_next(e->p, *from);
    packed_get(e->p, e->at, value);
    e->at = packed_next(e->p, e->at);
}

struct id stream_object_edge(const struct stream_object *s, bool last)
{
    struct stream_cursor c = stream_cursor_over(s, ID_MIN, ID_MAX, last);
    struct stream_entry e;
    return stream_cursor_next(&c, &e) ? e.id : ID_MIN;
}

bool stream_object_has(const struct stream_object *s, struct id id)
{
    struct stream_cursor c = stream_cursor_over(s, id, id, false);
    struct stream_entry e;
    return stream_cursor_next(&c, &e);
}

bool stream_object_node(const struct stream_object *s, struct id from, struct id *found,
                        struct packed *out)
{
    struct stream_node *n = id_tree_at_or_after(&s->nodes, from, found);
    if (n)
        *out = packed_of(n);
    return n != NULL;
}

/* ---- nodes from outside ---- */

/* The integer at *at, which goes on. False: there is none from low to high. */
static bool take_integer(struct packed p, size_t *at, int64_t low, int64_t high, int64_t *out)
{
    struct packed_item item;
    if (*at >= p.size)
        return false;
    packed_get(p, *at, &item);
    *at = packed_next(p, *at);
    *out = item.integer;
    return item.is_integer && item.integer >= low && item.integer <= high;
}

static bool pass(struct packed p, size_t *at, int64_t count)
{
    for (; count > 0 && *at < p.size; count--)
        *at = packed_next(p, *at);
    return count <= 0;
}

/* An entry that is whole, says how long it is, and comes after *last, which it becomes. */
static bool take_entry(struct packed p, size_t *at, struct id node_id, int64_t fields,
                       struct id *last, bool *deleted)
{
    int64_t flags, ms, seq, elements;
    if (!take_integer(p, at, 0, DELETED | SAME_FIELDS, &flags) ||
        !take_integer(p, at, 0, INT64_MAX, &ms) || !take_integer(p, at, INT64_MIN, INT64_MAX, &seq))
        return false;
    bool same = flags & SAME_FIELDS;
    if (!same && !take_integer(p, at, 1, INT32_MAX, &fields))
        return false;
    if (!pass(p, at, same ? fields : 2 * fields) || !take_integer(p, at, 0, INT64_MAX, &elements) ||
        elements != 3 + (same ? fields : 1 + 2 * fields))
        return false;
    struct id id = add_delta(node_id, ms, seq);
    if (id_compare(id, node_id) < 0 || id_compare(id, *last) <= 0)
        return false;
    *last = id;
    *deleted = flags & DELETED;
    return true;
}

/* Entries of a sound node; 0: it is none. */
static int64_t check_node(struct packed p, struct id id, struct id *last)
{
    int64_t live, dead, fields, end, count = 0, deleted = 0;
    size_t at = packed_first(p);
    if (!take_integer(p, &at, 1, INT32_MAX, &live) || !take_integer(p, &at, 0, INT32_MAX, &dead) ||
        !take_integer(p, &at, 1, INT32_MAX, &fields) || !pass(p, &at, fields) ||
        !take_integer(p, &at, 0, 0, &end))
        return 0;
    while (at < p.size) {
        bool is_deleted;
        if (!take_entry(p, &at, id, fields, last, &is_deleted))
            return 0;
        count += !is_deleted;
        deleted += is_deleted;
    }
    return count == live && deleted == dead ? live : 0;
}

enum store_result stream_object_append(struct stream_object *s, struct id id, struct packed p)
{
    struct id last = s->last_id;
    int64_t count =
        p.size <= NODE_BYTES_MOST && id_compare(id, last) > 0 ? check_node(p, id, &last) : 0;
    if (count == 0)
        return STORE_NOT_MET;
    struct stream_node *n = tu_alloc(sizeof *n + p.size + SPARE);
    if (!n)
        return STORE_NO_MEMORY;
    memcpy(n->bytes, p.bytes, p.size);
    n->size = (uint32_t)p.size;
    n->capacity = (uint32_t)(tu_usable_size(n) - sizeof *n);
    if (id_tree_insert(&s->nodes, id, n) != ID_TREE_ADDED) {
        tu_free(n);
        return STORE_NO_MEMORY;
    }
    s->node_bytes += node_memory(n);
    s->length += (uint64_t)count;
    s->last_id = last;
    if (s->nodes.count == 1)
        s->first_id = stream_object_edge(s, false);
    return STORE_OK;
}

/* ---- adding ---- */

static bool same_fields(struct packed p, const struct master *m, const struct slice *pairs,
                        size_t count)
{
    struct packed_item item;
    if (m->fields != count)
        return false;
    size_t at = m->names_at;
    for (size_t i = 0; i < count; i++, at = packed_next(p, at)) {
        packed_get(p, at, &item);
        if (!packed_equals(&item, pairs[2 * i]))
            return false;
    }
    return true;
}

static size_t entry_elements(size_t count, bool same)
{
    return 3 + (same ? count : 1 + 2 * count);
}

static size_t entry_size(struct id delta, const struct slice *pairs, size_t count, bool same)
{
    size_t size = packed_integer_size(same ? SAME_FIELDS : 0) +
                  packed_integer_size((int64_t)delta.ms) + packed_integer_size((int64_t)delta.seq) +
                  packed_integer_size((int64_t)entry_elements(count, same));
    size += same ? 0 : packed_integer_size((int64_t)count);
    for (size_t i = same; i < 2 * count; i += same ? 2 : 1)
        size += packed_item_size(pairs[i]);
    return size;
}

static unsigned char *write_entry(unsigned char *to, struct id delta, const struct slice *pairs,
                                  size_t count, bool same)
{
    to = packed_write_integer(to, same ? SAME_FIELDS : 0);
    to = packed_write_integer(to, (int64_t)delta.ms);
    to = packed_write_integer(to, (int64_t)delta.seq);
    if (!same)
        to = packed_write_integer(to, (int64_t)count);
    for (size_t i = same; i < 2 * count; i += same ? 2 : 1)
        to = packed_write(to, pairs[i]);
    return packed_write_integer(to, (int64_t)entry_elements(count, same));
}

static struct stream_node *node_begin(const struct slice *pairs, size_t count)
{
    size_t size = PACKED_HEAD + packed_integer_size(1) + 2 * packed_integer_size(0) +
                  packed_integer_size((int64_t)count) + entry_size(ID_MIN, pairs, count, true);
    for (size_t i = 0; i < count; i++)
        size += packed_item_size(pairs[2 * i]);
    struct stream_node *n = tu_alloc(sizeof *n + size + SPARE);
    if (!n)
        return NULL;
    unsigned char *to = packed_write_integer(n->bytes + PACKED_HEAD, 1);
    to = packed_write_integer(to, 0);
    to = packed_write_integer(to, (int64_t)count);
    for (size_t i = 0; i < count; i++)
        to = packed_write(to, pairs[2 * i]);
    to = packed_write_integer(to, 0);
    to = write_entry(to, ID_MIN, pairs, count, true);
    n->size = (uint32_t)(to - n->bytes);
    tu_assert(n->size == size);
    n->capacity = (uint32_t)(tu_usable_size(n) - sizeof *n);
    packed_set_count(n->bytes, 4 + count + entry_elements(count, true) + 1);
    return n;
}

static enum store_result add_node(struct stream_object *s, struct id id, const struct slice *pairs,
                                  size_t count)
{
    struct stream_node *n = node_begin(pairs, count);
    if (!n)
        return STORE_NO_MEMORY;
    if (id_tree_insert(&s->nodes, id, n) != ID_TREE_ADDED) {
        tu_free(n);
        return STORE_NO_MEMORY;
    }
    s->node_bytes += node_memory(n);
    return STORE_OK;
}

static enum store_result add_to_node(struct stream_object *s, struct id node_id,
                                     struct stream_node *n, struct id id, const struct slice *pairs,
                                     size_t count, size_t most)
{
    struct packed p = packed_of(n);
    struct master m = master_of(p);
    bool same = same_fields(p, &m, pairs, count);
    struct id delta = {id.ms - node_id.ms, id.seq - node_id.seq};
    size_t after = n->size + entry_size(delta, pairs, count, same);
    size_t elements = packed_count(p);
    if (after + SPARE > n->capacity) {
        size_t wanted = after + after / 2 < most ? after + after / 2 : most;
        n = node_resize(s, node_id, n, (wanted > after ? wanted : after) + SPARE);
        if (!n)
            return STORE_NO_MEMORY;
    }
    unsigned char *end = write_entry(n->bytes + n->size, delta, pairs, count, same);
    tu_assert(end == n->bytes + after);
    n->size = (uint32_t)(end - n->bytes);
    packed_set_count(n->bytes, elements + entry_elements(count, same) + 1);
    set_integer(n, PACKED_HEAD, m.count + 1);
    return STORE_OK;
}

enum store_result stream_object_add(struct stream_object *s, struct id id,
                                    const struct slice *pairs, size_t count,
                                    const struct stream_limits *limits)
{
    size_t text = 0, most = NODE_BYTES_MOST;
    struct id node_id;
    for (size_t i = 0; i < 2 * count; i++)
        text += pairs[i].size;
    if (text >= NODE_BYTES_MOST)
        return STORE_TOO_BIG;
    if (limits->node_max_bytes > 0 && (uint64_t)limits->node_max_bytes < most)
        most = (size_t)limits->node_max_bytes;
    struct stream_node *n = id_tree_at_or_before(&s->nodes, ID_MAX, &node_id), *full = NULL;
    if (n) {
        struct master m = master_of(packed_of(n));
        if (n->size + PEER_FRAME + text >= most ||
            (limits->node_max_entries > 0 && m.count + m.deleted >= limits->node_max_entries)) {
            full = n;
            n = NULL;
        }
    }
    enum store_result rc =
        n ? add_to_node(s, node_id, n, id, pairs, count, most) : add_node(s, id, pairs, count);
    if (rc != STORE_OK)
        return rc;
    if (full)
        node_give_back_slack(s, node_id, full);
    s->last_id = id;
    s->entries_added++;
    if (s->length++ == 0)
        s->first_id = id;
    return STORE_OK;
}

/* ---- deleting ---- */

static void mark_deleted(struct stream_node *n, size_t at, int64_t flags)
{
    packed_write_integer(n->bytes + at, flags | DELETED); /* as wide as before */
}

static void find_first(struct stream_object *s)
{
    s->first_id = s->length == 0 ? ID_MIN : stream_object_edge(s, false);
}

bool stream_object_delete(struct stream_object *s, struct id id)
{
    struct id node_id;
    struct stream_node *n = id_tree_at_or_before(&s->nodes, id, &node_id);
    if (!n)
        return false;
    struct packed p = packed_of(n);
    struct master m = master_of(p);
    for (size_t at = first_entry(p, &m); at < p.size;) {
        struct raw r = raw_at(p, at, node_id, m.fields);
        int order = id_compare(r.id, id);
        if (order > 0 || (order == 0 && r.flags & DELETED))
            return false;
        if (order < 0) {
            at = raw_end(p, &r);
            continue;
        }
        s->length--;
        if (m.count == 1) {
            node_drop(s, node_id);
        } else {
            mark_deleted(n, at, r.flags);
            count_deleted(n, &m, 1);
        }
        if (s->length == 0 || id_compare(id, s->first_id) == 0)
            find_first(s);
        return true;
    }
    return false;
}

/* True if an entry may go; with DELREF its references are gone then. */
static bool let_go(struct stream_object *s, struct id id, enum stream_refs refs)
{
    if (refs == STREAM_ACKED)
        return !stream_groups_want(s, id);
    if (refs == STREAM_DELREF)
        stream_groups_forget(s, id);
    return true;
}

enum store_result stream_object_delete_refs(struct stream_object *s, struct id id,
                                            enum stream_refs refs)
{
    if (refs != STREAM_KEEPREF && !stream_object_has(s, id))
        return STORE_MISSING;
    if (!let_go(s, id, refs))
        return STORE_NOT_MET;
    if (!stream_object_delete(s, id))
        return STORE_MISSING;
    if (id_compare(id, s->max_deleted_id) > 0)
        s->max_deleted_id = id;
    return STORE_OK;
}

/* The same for all entries of a node. */
static bool let_node_go(struct stream_object *s, struct id node_id, const struct stream_node *n,
                        enum stream_refs refs)
{
    struct packed p = packed_of(n);
    struct master m = master_of(p);
    for (size_t at = first_entry(p, &m); refs != STREAM_KEEPREF && at < p.size;) {
        struct raw r = raw_at(p, at, node_id, m.fields);
        if (!(r.flags & DELETED) && !let_go(s, r.id, refs))
            return false;
        at = raw_end(p, &r);
    }
    return true;
}

static struct id last_in_node(struct packed p, struct id node_id)
{
    return raw_at(p, raw_before(p, p.size), node_id, 0).id;
}

/* Deletes from the beginning of a node as much as must and may go; *last is the last that went. */
static uint64_t trim_inside(struct stream_object *s, struct id node_id, struct stream_node *n,
                            const struct stream_trim *trim, struct id *last)
{
    struct packed p = packed_of(n);
    struct master m = master_of(p);
    uint64_t gone = 0;
    for (size_t at = first_entry(p, &m); at < p.size;) {
        struct raw r = raw_at(p, at, node_id, m.fields);
        if (trim->by == STREAM_TRIM_LENGTH ? s->length <= trim->length
                                           : id_compare(r.id, trim->id) >= 0)
            break;
        if (!(r.flags & DELETED) && let_go(s, r.id, trim->refs)) {
            mark_deleted(n, at, r.flags);
            s->length--;
            gone++;
            *last = r.id;
        }
        at = raw_end(p, &r);
    }
    if ((int64_t)gone == m.count)
        node_drop(s, node_id);
    else if (gone > 0)
        count_deleted(n, &m, (int64_t)gone);
    return gone;
}

uint64_t stream_object_trim(struct stream_object *s, const struct stream_trim *trim)
{
    uint64_t gone = 0;
    struct id node_id, at = ID_MIN, last_gone = ID_MIN;
    struct stream_node *n;
    if (trim->by == STREAM_TRIM_NONE)
        return 0;
    while ((n = id_tree_at_or_after(&s->nodes, at, &node_id))) {
        if (trim->by == STREAM_TRIM_LENGTH ? s->length <= trim->length
                                           : id_compare(node_id, trim->id) >= 0)
            break;
        uint64_t entries = (uint64_t)master_of(packed_of(n)).count;
        if (trim->limit > 0 && gone + entries > trim->limit)
            break;
        at = last_in_node(packed_of(n), node_id);
        bool whole = trim->by == STREAM_TRIM_LENGTH ? s->length - entries >= trim->length
                                                    : id_compare(at, trim->id) < 0;
        if (whole && let_node_go(s, node_id, n, trim->refs)) {
            node_drop(s, node_id);
            s->length -= entries;
            gone += entries;
            last_gone = at;
        } else if (trim->whole_nodes) {
            break;
        } else {
            gone += trim_inside(s, node_id, n, trim, &last_gone);
        }
        if (!id_next(&at))
            break;
    }
    if (gone > 0)
        find_first(s);
    bool is_hole = gone > 0 && s->length > 0 && id_compare(last_gone, s->first_id) > 0;
    if (is_hole && id_compare(last_gone, s->max_deleted_id) > 0)
        s->max_deleted_id = last_gone;
    return gone;
}

/* ---- life ---- */

struct stream_object *stream_object_new(void)
{
    return tu_alloc_zeroed(sizeof(struct stream_object));
}

void stream_object_free(struct stream_object *s)
{
    stream_groups_free(s->groups);
    id_tree_clear(&s->nodes, tu_free);
    tu_free(s);
}

static void free_object(void *object)
{
    stream_object_free(object);
}

static size_t free_effort(const void *object)
{
    const struct stream_object *s = object;
    return s->nodes.count + stream_groups_effort(s->groups);
}

static size_t object_size(const void *object)
{
    return ((const struct stream_object *)object)->length;
}

static size_t object_memory(const void *object)
{
    const struct stream_object *s = object;
    return tu_usable_size(s) + s->nodes.bytes + s->node_bytes + stream_groups_memory(s->groups);
}

static bool copy_nodes(struct stream_object *to, const struct stream_object *s)
{
    struct stream_node *n;
    for (struct id at = ID_MIN; (n = id_tree_at_or_after(&s->nodes, at, &at));) {
        struct stream_node *copy = tu_alloc(sizeof *n + n->size + SPARE);
        if (!copy)
            return false;
        memcpy(copy, n, sizeof *n + n->size);
        copy->capacity = (uint32_t)(tu_usable_size(copy) - sizeof *n);
        if (id_tree_insert(&to->nodes, at, copy) != ID_TREE_ADDED) {
            tu_free(copy);
            return false;
        }
        to->node_bytes += node_memory(copy);
        if (!id_next(&at))
            break;
    }
    return true;
}

static void *object_copy(const void *object)
{
    const struct stream_object *s = object;
    struct stream_object *copy = stream_object_new();
    if (!copy)
        return NULL;
    copy->length = s->length;
    copy->entries_added = s->entries_added;
    copy->last_id = s->last_id;
    copy->first_id = s->first_id;
    copy->max_deleted_id = s->max_deleted_id;
    if (copy_nodes(copy, s) && (!s->groups || (copy->groups = stream_groups_copy(s->groups))))
        return copy;
    stream_object_free(copy);
    return NULL;
}

static void digest(const struct entry *entry, uint8_t sum[SHA1_SIZE])
{
    struct stream_cursor c = stream_cursor_over(entry_block(entry), ID_MIN, ID_MAX, false);
    struct stream_entry e;
    while (stream_cursor_next(&c, &e)) {
        char id[48];
        int size = snprintf(id, sizeof id, "%llu.%llu", (unsigned long long)e.id.ms,
                            (unsigned long long)e.id.seq);
        digest_mix(sum, id, (size_t)size);
        for (size_t i = 0; i < e.fields; i++) {
            struct packed_item name, value;
            stream_entry_pair(&e, &name, &value);
            struct slice text = packed_text(&name);
            digest_mix(sum, text.data, text.size);
            text = packed_text(&value);
            digest_mix(sum, text.data, text.size);
        }
    }
}

/* Its entries and its counters agree: the number of entries. */
static int64_t node_verify(const struct stream_node *n, struct id node_id, struct id *last)
{
    struct packed p = packed_of(n);
    int64_t live = 0, dead = 0;
    tu_check(packed_is_valid(p) && n->size <= n->capacity, "a stream's node is broken");
    struct master m = master_of(p);
    for (size_t at = first_entry(p, &m); at < p.size;) {
        struct raw r = raw_at(p, at, node_id, m.fields);
        size_t end = raw_end(p, &r);
        tu_check(raw_before(p, end) == at, "an entry that cannot be found from its end");
        tu_check(id_compare(*last, r.id) < 0, "ids that do not ascend");
        *last = r.id;
        live += !(r.flags & DELETED);
        dead += (r.flags & DELETED) != 0;
        at = end;
    }
    tu_check(live == m.count && dead == m.deleted && live > 0, "%lld entries, counted %lld",
             (long long)m.count, (long long)live);
    return live;
}

void stream_object_verify(const struct stream_object *s)
{
    struct stream_node *n;
    uint64_t length = 0;
    size_t bytes = 0;
    struct id last = ID_MIN;
    id_tree_verify(&s->nodes);
    for (struct id at = ID_MIN; (n = id_tree_at_or_after(&s->nodes, at, &at));) {
        length += (uint64_t)node_verify(n, at, &last);
        bytes += node_memory(n);
        if (!id_next(&at))
            break;
    }
    tu_check(length == s->length && bytes == s->node_bytes, "a stream of %llu, counted %llu",
             (unsigned long long)s->length, (unsigned long long)length);
    tu_check(id_compare(last, s->last_id) <= 0, "an entry beyond the last id");
    tu_check(id_compare(s->first_id, stream_object_edge(s, false)) == 0, "another first id");
    stream_groups_verify(s->groups);
}

static void entry_verify(const struct entry *e)
{
    stream_object_verify(entry_block(e));
}

const struct type_ops stream_type_ops = {
    .free = free_object,
    .free_effort = free_effort,
    .size = object_size,
    .memory = object_memory,
    .copy = object_copy,
    .digest = digest,
    .verify = entry_verify,
};
