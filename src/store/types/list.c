/* list.c - lists: a packed in the entry, or a quicklist.
 *
 * An operation first finds the list, then, before anything is added, turns a packed that would not fit
 * into a quicklist; after something was taken it looks whether a quicklist of one node has become short enough to be a
 * packed again. Both decisions are the peers' (when, and how sizes are counted), since OBJECT ENCODING shows them. A
 * cursor walks either form, so that searching and showing are written once.
 */
#include "store/types/list.h"

#include "base/check.h"
#include "store/digest.h"
#include "store/index/quicklist.h"
#include "store/long_work.h"
#include "store/types/value.h"

#include <tuco/mem.h>

/* ---- the two forms ---- */

static bool is_packed(const struct found *f)
{
    return f->entry->encoding == ENCODING_PACKED;
}

static size_t size_of(const struct entry *e)
{
    if (e->encoding == ENCODING_PACKED)
        return packed_count(entry_packed(e));
    return ((const struct quicklist *)entry_block(e))->count;
}

static int64_t fill_of(const struct transaction *tx)
{
    return type_limit(&keyspace_limits(tx->keyspace)->list_max_listpack_size);
}

/* Before `count` values are added: a packed that they would make too large becomes a quicklist. False: out of memory. */
static bool make_room(const struct transaction *tx, struct found *f, const struct slice *values,
                      size_t count)
{
    if (!is_packed(f))
        return true;
    struct packed p = entry_packed(f->entry);
    size_t bytes = p.size + QUICKLIST_FRAME;
    for (size_t i = 0; i < count; i++)
        bytes += values[i].size;
    if (quicklist_fits(fill_of(tx), bytes, packed_count(p) + count))
        return true;
    struct quicklist *q = quicklist_of_packed(p);
    if (!q)
        return false;
    if (value_become_object(f, ENCODING_QUICKLIST, q))
        return true;
    quicklist_free(q);
    return false;
}

/* After something was taken: a quicklist that is short enough becomes a packed. Without memory it stays. */
static void make_small(const struct transaction *tx, struct found *f)
{
    if (is_packed(f))
        return;
    struct quicklist *q = value_object(f);
    if (!quicklist_is_one(q) ||
        !quicklist_fits_half(fill_of(tx), q->head->size + QUICKLIST_FRAME, q->count))
        return;
    struct packed p = quicklist_packed(q->head);
    if (!value_become_bytes(f, ENCODING_PACKED, p.size))
        return;
    memcpy((unsigned char *)entry_string(f->entry).data, p.bytes, p.size);
    quicklist_free(q);
}

/* Something was taken: the key goes with its last element. */
static void shrunk(struct transaction *tx, struct store_key key, struct found *f)
{
    if (size_of(f->entry) == 0)
        value_drop_empty(tx, key, f);
    else
        make_small(tx, f);
}

/* An element of either form. */
struct cursor {
    struct packed packed;   /* at.node NULL: this, */
    struct quicklist_at at; /* else this; at.offset in both */
    bool there;
};

static struct cursor cursor_at(const struct entry *e, int64_t index)
{
    struct cursor c = {0};
    if (e->encoding == ENCODING_PACKED) {
        c.packed = entry_packed(e);
        c.at.offset = packed_seek(c.packed, index);
        c.there = c.at.offset < c.packed.size;
    } else {
        c.at = quicklist_seek(entry_block(e), index);
        c.there = c.at.node != NULL;
    }
    return c;
}

static void cursor_step(struct cursor *c, bool backwards)
{
    if (!c->at.node) {
        c->at.offset =
            backwards ? packed_prev(c->packed, c->at.offset) : packed_next(c->packed, c->at.offset);
        c->there = c->at.offset != 0 && c->at.offset < c->packed.size;
    } else {
        c->at = backwards ? quicklist_prev(c->at) : quicklist_next(c->at);
        c->there = c->at.node != NULL;
    }
}

static void cursor_get(const struct cursor *c, struct packed_item *item)
{
    if (c->at.node)
        quicklist_get(c->at, item);
    else
        packed_get(c->packed, c->at.offset, item);
}

static bool cursor_equals(const struct cursor *c, struct slice value)
{
    struct packed_item item;
    cursor_get(c, &item);
    if (!item.is_integer && c->at.node && c->at.node->plain)
        return slice_equal(item.bytes, value);
    return packed_equals(&item, value);
}

static void show(const struct list_visitor *shown, struct cursor c, size_t count, bool backwards)
{
    if (shown->begin)
        shown->begin(shown->context, count);
    for (size_t i = 0; i < count; i++, cursor_step(&c, backwards)) {
        struct packed_item item;
        cursor_get(&c, &item);
        shown->each(shown->context, packed_text(&item));
    }
}

/* ---- ends ---- */

static bool push_one(const struct transaction *tx, struct found *f, enum list_end end,
                     struct slice value)
{
    if (!is_packed(f))
        return quicklist_push(value_object(f), end == LIST_LEFT ? QUICKLIST_HEAD : QUICKLIST_TAIL,
                              value, fill_of(tx));
    struct packed p = entry_packed(f->entry);
    struct packed_store store = value_packed_store(f);
    return packed_insert(&store, p, end == LIST_LEFT ? packed_first(p) : p.size, &value, 1);
}

/* Takes `count` elements, which are there, from number `first` on. */
static void take(struct found *f, size_t first, size_t count)
{
    if (is_packed(f)) {
        struct packed_store store = value_packed_store(f);
        struct packed p = entry_packed(f->entry);
        packed_remove(&store, p, packed_seek(p, (int64_t)first), count);
    } else {
        quicklist_remove_range(value_object(f), first, count);
    }
}

static void take_end(struct found *f, enum list_end end, size_t count)
{
    take(f, end == LIST_LEFT ? 0 : size_of(f->entry) - count, count);
}

/* Finds the list to push to, made if it is missing (*made). */
static enum store_result find_or_make(struct transaction *tx, struct store_key key,
                                      bool only_if_exists, struct found *f, bool *made)
{
    enum store_result rc = value_find(tx, key, TYPE_LIST, LOOKUP_WRITE, f);
    *made = rc == STORE_MISSING && !only_if_exists;
    if (*made)
        rc = value_make_bytes(tx, key, TYPE_LIST, ENCODING_PACKED, PACKED_HEAD, f);
    return rc;
}

/* All of the values, or none. */
static bool push_all(struct transaction *tx, struct found *f, enum list_end end,
                     const struct slice *values, size_t count)
{
    if (!make_room(tx, f, values, count))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!push_one(tx, f, end, values[i])) {
            take_end(f, end, i);
            return false;
        }
    return true;
}

static const char *push_event(enum list_end end)
{
    return end == LIST_LEFT ? "lpush" : "rpush";
}

static const char *pop_event(enum list_end end)
{
    return end == LIST_LEFT ? "lpop" : "rpop";
}

enum store_result list_push(struct transaction *tx, struct store_key key, enum list_end end,
                            const struct slice *values, size_t count, bool only_if_exists,
                            size_t *size)
{
    struct found f;
    bool made;
    *size = 0;
    enum store_result rc = find_or_make(tx, key, only_if_exists, &f, &made);
    if (rc != STORE_OK)
        return rc;
    if (!push_all(tx, &f, end, values, count)) {
        if (made)
            shard_delete(&f, false);
        return STORE_NO_MEMORY;
    }
    *size = size_of(f.entry);
    value_changed(tx, key, EVENT_LIST, push_event(end), count);
    return STORE_OK;
}

enum store_result list_store(struct transaction *tx, struct store_key key,
                             const struct slice *values, size_t count, const char *event)
{
    if (count == 0) {
        struct found old = shard_lookup(tx, tx->db, key, LOOKUP_PEEK);
        if (old.entry) {
            shard_delete(&old, true);
            value_changed(tx, key, EVENT_GENERIC, "del", 1);
        }
        return STORE_OK;
    }
    struct found made = {
        .entry = entry_new(key.name, TYPE_LIST, ENCODING_PACKED, PACKED_HEAD, EXPIRY_NONE)};
    if (!made.entry)
        return STORE_NO_MEMORY;
    memset(entry_value(made.entry), 0, PACKED_HEAD);
    enum store_result rc = push_all(tx, &made, LIST_RIGHT, values, count)
                               ? value_put(tx, key, made.entry)
                               : STORE_NO_MEMORY;
    if (rc != STORE_OK)
        entry_free(made.entry);
    else
        value_changed(tx, key, EVENT_LIST, event, count);
    return rc;
}

enum store_result list_pop(struct transaction *tx, struct store_key key, enum list_end end,
                           size_t count, const struct list_visitor *shown)
{
    struct found f;
    enum store_result rc = value_find(tx, key, TYPE_LIST, LOOKUP_WRITE, &f);
    if (rc != STORE_OK)
        return rc;
    size_t size = size_of(f.entry);
    count = count < size ? count : size;
    if (count == 0) {
        if (shown->begin)
            shown->begin(shown->context, 0);
        return STORE_OK;
    }
    show(shown, cursor_at(f.entry, end == LIST_LEFT ? 0 : -1), count, end == LIST_RIGHT);
    take_end(&f, end, count);
    value_changed(tx, key, EVENT_LIST, pop_event(end), count);
    shrunk(tx, key, &f);
    return STORE_OK;
}

/* The outermost element, in memory of its own if it is long. */
struct moved {
    struct packed_item item;
    char near[256], *far;
    struct slice text;
};

static bool copy_end(const struct found *f, enum list_end end, struct moved *m)
{
    struct cursor c = cursor_at(f->entry, end == LIST_LEFT ? 0 : -1);
    cursor_get(&c, &m->item);
    struct slice text = packed_text(&m->item);
    m->far = text.size > sizeof m->near ? tu_alloc(text.size) : NULL;
    if (text.size > sizeof m->near && !m->far)
        return false;
    char *to = m->far ? m->far : m->near;
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    m->text = (struct slice){to, text.size};
    return true;
}

/* Within one list the push comes first, so that it may fail. Whether it must be a quicklist is decided for what will be
 * there in the end. */
static enum store_result rotate(struct transaction *tx, struct found *f, enum list_end from_end,
                                enum list_end to_end, struct slice value)
{
    struct packed p = is_packed(f) ? entry_packed(f->entry) : (struct packed){0};
    bool fits =
        p.bytes &&
        quicklist_fits(fill_of(tx), p.size + QUICKLIST_FRAME + value.size - packed_item_size(value),
                       packed_count(p));
    if ((!fits && !make_room(tx, f, &value, 1)) || !push_one(tx, f, to_end, value))
        return STORE_NO_MEMORY;
    size_t size = size_of(f->entry);
    if (from_end == LIST_LEFT)
        take(f, to_end == LIST_LEFT ? 1 : 0, 1);
    else
        take(f, size - (to_end == LIST_RIGHT ? 2 : 1), 1);
    return STORE_OK;
}

static void say_moved(struct transaction *tx, struct store_key from, enum list_end from_end,
                      struct store_key to, enum list_end to_end)
{
    value_changed(tx, to, EVENT_LIST, push_event(to_end), 0);
    value_changed(tx, from, EVENT_LIST, pop_event(from_end), 1);
}

static enum store_result move_copied(struct transaction *tx, struct found *source,
                                     struct store_key from, enum list_end from_end,
                                     struct store_key to, enum list_end to_end, struct slice value)
{
    struct found f;
    bool made;
    if (slice_equal(from.name, to.name)) {
        enum store_result rc = rotate(tx, source, from_end, to_end, value);
        if (rc == STORE_OK) {
            say_moved(tx, from, from_end, to, to_end);
            make_small(tx, source);
        }
        return rc;
    }
    enum store_result rc = find_or_make(tx, to, false, &f, &made);
    if (rc != STORE_OK)
        return rc;
    if (!push_all(tx, &f, to_end, &value, 1)) {
        if (made)
            shard_delete(&f, false);
        return STORE_NO_MEMORY;
    }
    rc = value_find(tx, from, TYPE_LIST, LOOKUP_PEEK, source); /* a key was made: slots move */
    tu_check(rc == STORE_OK, "the source of a move is gone");
    take_end(source, from_end, 1);
    say_moved(tx, from, from_end, to, to_end);
    shrunk(tx, from, source);
    return STORE_OK;
}

enum store_result list_move(struct transaction *tx, struct store_key from, enum list_end from_end,
                            struct store_key to, enum list_end to_end,
                            const struct list_visitor *shown)
{
    struct found source;
    struct moved m;
    enum store_result rc = value_find(tx, from, TYPE_LIST, LOOKUP_WRITE, &source);
    if (rc != STORE_OK)
        return rc;
    if (!copy_end(&source, from_end, &m))
        return STORE_NO_MEMORY;
    rc = move_copied(tx, &source, from, from_end, to, to_end, m.text);
    if (rc == STORE_OK) {
        if (shown->begin)
            shown->begin(shown->context, 1);
        shown->each(shown->context, m.text);
    }
    tu_free(m.far);
    return rc;
}

/* ---- by index ---- */

enum store_result list_size(struct transaction *tx, struct store_key key, size_t *size)
{
    struct found f;
    enum store_result rc = value_find(tx, key, TYPE_LIST, LOOKUP_READ, &f);
    *size = rc == STORE_OK ? size_of(f.entry) : 0;
    return rc;
}

enum store_result list_get(struct transaction *tx, struct store_key key, int64_t index,
                           const struct list_visitor *shown)
{
    struct found f;
    enum store_result rc = value_find(tx, key, TYPE_LIST, LOOKUP_READ, &f);
    if (rc != STORE_OK)
        return rc;
    struct cursor c = cursor_at(f.entry, index);
    if (!c.there)
        return STORE_OUT_OF_RANGE;
    show(shown, c, 1, false);
    return STORE_OK;
}

enum store_result list_set(struct transaction *tx, struct store_key key, int64_t index,
                           struct slice value)
{
    struct found f;
    enum store_result rc = value_find(tx, key, TYPE_LIST, LOOKUP_WRITE, &f);
    if (rc != STORE_OK)
        return rc;
    if (!make_room(tx, &f, &value, 1))
        return STORE_NO_MEMORY;
    struct cursor c = cursor_at(f.entry, index);
    if (!c.there)
        return STORE_OUT_OF_RANGE;
    bool done;
    if (is_packed(&f)) {
        struct packed_store store = value_packed_store(&f);
        done = packed_replace(&store, c.packed, c.at.offset, value);
    } else {
        done = quicklist_replace(value_object(&f), c.at, value, fill_of(tx));
    }
    if (!done)
        return STORE_NO_MEMORY;
    make_small(tx, &f);
    value_changed(tx, key, EVENT_LIST, "lset", 1);
    return STORE_OK;
}

/* first..last of `size` elements, cut to what is there: how many, and *first becomes the number of the first. */
static size_t cut(size_t size, int64_t *first, int64_t last)
{
    int64_t n = (int64_t)size;
    *first = *first < 0 ? (*first < -n ? 0 : *first + n) : *first;
    last = last < 0 ? (last < -n ? -1 : last + n) : last;
    last = last >= n ? n - 1 : last;
    return *first > last ? 0 : (size_t)(last - *first + 1);
}

enum store_result list_range(struct transaction *tx, struct store_key key, int64_t first,
                             int64_t last, const struct list_visitor *shown)
{
    struct found f;
    struct cursor c = {0};
    enum store_result rc = value_find(tx, key, TYPE_LIST, LOOKUP_READ, &f);
    if (rc != STORE_OK)
        return rc;
    size_t count = cut(size_of(f.entry), &first, last);
    if (!long_work_begin(tx, count))
        return STORE_POSTPONED;
    if (count > 0)
        c = cursor_at(f.entry, first);
    show(shown, c, count, false);
    return STORE_OK;
}

enum store_result list_trim(struct transaction *tx, struct store_key key, int64_t first,
                            int64_t last)
{
    struct found f;
    enum store_result rc = value_find(tx, key, TYPE_LIST, LOOKUP_WRITE, &f);
    if (rc != STORE_OK)
        return rc;
    size_t size = size_of(f.entry), kept = cut(size, &first, last);
    size_t left = kept > 0 ? (size_t)first : size, right = size - left - kept;
    if (kept > 0) {
        if (left > 0)
            take_end(&f, LIST_LEFT, left);
        if (right > 0)
            take_end(&f, LIST_RIGHT, right);
    }
    value_changed(tx, key, EVENT_LIST, "ltrim", size - kept);
    if (kept == 0)
        value_drop_empty(tx, key, &f);
    else
        make_small(tx, &f);
    return STORE_OK;
}

/* ---- by value ---- */

/* Takes the element out and goes on to its neighbour. */
static void remove_at(struct found *f, struct cursor *c, bool backwards)
{
    if (c->at.node) {
        c->at = quicklist_remove(value_object(f), c->at, backwards);
        c->there = c->at.node != NULL;
        return;
    }
    struct packed_store store = value_packed_store(f);
    size_t before = packed_prev(c->packed, c->at.offset);
    packed_remove(&store, c->packed, c->at.offset, 1);
    c->packed = entry_packed(f->entry);
    c->at.offset = backwards ? before : c->at.offset;
    c->there = c->at.offset != 0 && c->at.offset < c->packed.size;
}

enum store_result list_remove(struct transaction *tx, struct store_key key, int64_t count,
                              struct slice value, size_t *removed)
{
    struct found f;
    *removed = 0;
    enum store_result rc = value_find(tx, key, TYPE_LIST, LOOKUP_WRITE, &f);
    if (rc != STORE_OK)
        return rc;
    bool backwards = count < 0;
    uint64_t most = backwards ? 0 - (uint64_t)count : (uint64_t)count;
    for (struct cursor c = cursor_at(f.entry, backwards ? -1 : 0); c.there;) {
        if (!cursor_equals(&c, value)) {
            cursor_step(&c, backwards);
            continue;
        }
        remove_at(&f, &c, backwards);
        if (++*removed == most)
            break;
    }
    if (*removed > 0) {
        value_changed(tx, key, EVENT_LIST, "lrem", *removed);
        shrunk(tx, key, &f);
    }
    return STORE_OK;
}

enum store_result list_insert(struct transaction *tx, struct store_key key, bool after,
                              struct slice pivot, struct slice value, size_t *size)
{
    struct found f;
    *size = 0;
    enum store_result rc = value_find(tx, key, TYPE_LIST, LOOKUP_WRITE, &f);
    if (rc != STORE_OK)
        return rc;
    if (!make_room(tx, &f, &value, 1))
        return STORE_NO_MEMORY;
    struct cursor c = cursor_at(f.entry, 0);
    while (c.there && !cursor_equals(&c, pivot))
        cursor_step(&c, false);
    if (!c.there)
        return STORE_NOT_MET;
    bool done;
    if (is_packed(&f)) {
        struct packed_store store = value_packed_store(&f);
        size_t at = after ? packed_next(c.packed, c.at.offset) : c.at.offset;
        done = packed_insert(&store, c.packed, at, &value, 1);
    } else {
        done = quicklist_insert(value_object(&f), c.at, after, value, fill_of(tx));
    }
    if (!done)
        return STORE_NO_MEMORY;
    *size = size_of(f.entry);
    value_changed(tx, key, EVENT_LIST, "linsert", 1);
    return STORE_OK;
}

enum store_result list_search(struct transaction *tx, struct store_key key,
                              const struct list_search *search,
                              void (*each)(void *context, size_t index), void *context)
{
    struct found f;
    enum store_result rc = value_find(tx, key, TYPE_LIST, LOOKUP_READ, &f);
    if (rc != STORE_OK)
        return rc;
    bool backwards = search->rank < 0;
    uint64_t skip = (backwards ? 0 - (uint64_t)search->rank : (uint64_t)search->rank) - 1;
    uint64_t seen = 0, matches = 0;
    size_t size = size_of(f.entry);
    for (struct cursor c = cursor_at(f.entry, backwards ? -1 : 0); c.there;
         cursor_step(&c, backwards), seen++) {
        if (search->maxlen > 0 && seen >= search->maxlen)
            break;
        if (!cursor_equals(&c, search->value) || matches++ < skip)
            continue;
        each(context, (size_t)(backwards ? size - seen - 1 : seen));
        if (search->count > 0 && matches - skip >= search->count)
            break;
    }
    return STORE_OK;
}

/* ---- what the keyspace does with it ---- */

static void free_object(void *object)
{
    quicklist_free(object);
}
static size_t free_effort(const void *object)
{
    return ((const struct quicklist *)object)->nodes;
}
static size_t object_size(const void *object)
{
    return ((const struct quicklist *)object)->count;
}
static size_t object_memory(const void *object)
{
    return quicklist_memory(object);
}
static void *object_copy(const void *object)
{
    return quicklist_copy(object);
}

static void digest(const struct entry *e, uint8_t sum[SHA1_SIZE])
{
    for (struct cursor c = cursor_at(e, 0); c.there; cursor_step(&c, false)) {
        struct packed_item item;
        cursor_get(&c, &item);
        struct slice text = packed_text(&item);
        digest_mix(sum, text.data, text.size);
    }
}

static void verify(const struct entry *e)
{
    if (e->encoding == ENCODING_QUICKLIST)
        quicklist_verify(entry_block(e));
    else
        tu_check(packed_is_valid(entry_packed(e)), "a broken packed");
    tu_check(size_of(e) > 0, "a list without elements");
}

const struct type_ops list_ops = {
    .free = free_object,
    .free_effort = free_effort,
    .size = object_size,
    .memory = object_memory,
    .copy = object_copy,
    .digest = digest,
    .verify = verify,
};
