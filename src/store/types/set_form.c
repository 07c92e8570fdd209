/* set_form.c - see set_form.h. When a form is left is what OBJECT ENCODING shows of it, so it is Valkey's rule. */
#include "store/types/set_form.h"

#include "base/check.h"
#include "store/digest.h"

#include <tuco/mem.h>

/* ---- reading ---- */

bool set_form_contains(const struct entry *e, struct set_member *m)
{
    size_t at;
    if (e->encoding == ENCODING_TABLE)
        return element_table_find(entry_table(e), set_member_text(m), NULL) != NULL;
    if (e->encoding == ENCODING_INTSET)
        return set_member_is_integer(m) && intset_find(entry_intset(e), m->integer, &at);
    struct packed p = entry_packed(e);
    return packed_find(p, packed_first(p), 1, set_member_text(m)) < p.size;
}

void set_walk_begin(struct set_walk *w, const struct entry *e)
{
    w->entry = e;
    w->at = 0;
    if (e->encoding == ENCODING_TABLE)
        w->elements = element_iterate(entry_table(e));
    else if (e->encoding == ENCODING_PACKED)
        w->at = packed_first(entry_packed(e));
}

/* What the packed has at `at`. */
static void member_at(struct packed p, size_t at, struct set_member *m)
{
    struct packed_item item;
    packed_get(p, at, &item);
    if (item.is_integer) {
        set_member_of_integer(m, item.integer);
    } else {
        m->text = item.bytes;
        m->kind = MEMBER_TEXT;
    }
}

bool set_walk_next(struct set_walk *w, struct set_member *m)
{
    if (w->entry->encoding == ENCODING_TABLE) {
        const struct element *e = element_next(&w->elements);
        if (e)
            set_member_of(m, element_name(e));
        return e != NULL;
    }
    if (w->entry->encoding == ENCODING_INTSET) {
        struct intset s = entry_intset(w->entry);
        if (w->at == intset_count(s))
            return false;
        set_member_of_integer(m, intset_get(s, w->at++));
        return true;
    }
    struct packed p = entry_packed(w->entry);
    if (w->at == p.size)
        return false;
    member_at(p, w->at, m);
    w->at = packed_next(p, w->at);
    return true;
}

/* ---- making ---- */

static int64_t intset_limit(struct transaction *tx)
{
    return type_limit(&keyspace_limits(tx->keyspace)->set_max_intset_entries);
}

static int64_t packed_limit(struct transaction *tx)
{
    return type_limit(&keyspace_limits(tx->keyspace)->set_max_listpack_entries);
}

static bool is_short(struct transaction *tx, size_t size)
{
    return size <= (uint64_t)type_limit(&keyspace_limits(tx->keyspace)->set_max_listpack_value);
}

static struct entry *new_table_entry(struct transaction *tx, struct slice key)
{
    struct element_table *t = element_table_new(&tx->keyspace->secret);
    if (!t)
        return NULL;
    struct entry *e = entry_new(key, TYPE_SET, ENCODING_TABLE, sizeof t, EXPIRY_NONE);
    if (!e) {
        element_table_free(t);
        return NULL;
    }
    e->flags |= ENTRY_BLOCK;
    entry_set_block(e, t);
    return e;
}

struct entry *set_form_new(struct transaction *tx, struct slice key, struct set_member *first,
                           size_t count)
{
    bool integers = set_member_is_integer(first) && count <= (uint64_t)intset_limit(tx);
    if (!integers && count > (uint64_t)packed_limit(tx))
        return new_table_entry(tx, key);
    struct entry *e = entry_new(key, TYPE_SET, integers ? ENCODING_INTSET : ENCODING_PACKED,
                                integers ? (size_t)INTSET_HEAD : (size_t)PACKED_HEAD, EXPIRY_NONE);
    if (!e)
        return NULL;
    memset(entry_value(e), 0, e->value_size);
    if (integers)
        intset_init(entry_value(e));
    return e;
}

/* ---- from form to form ---- */

/* With room for `count` members, of which most are to come. */
static bool to_table_of(struct transaction *tx, struct found *f, size_t count)
{
    struct set_walk walk;
    struct set_member m;
    struct element_table *t = element_table_new(&tx->keyspace->secret);
    if (!t)
        return false;
    set_walk_begin(&walk, f->entry);
    bool ok = element_table_expect(t, count);
    while (ok && set_walk_next(&walk, &m))
        ok = element_table_add(t, set_member_text(&m)) != ELEMENT_NO_MEMORY;
    if (ok && value_become_object(f, ENCODING_TABLE, t))
        return true;
    element_table_free(t);
    return false;
}

static bool to_table(struct transaction *tx, struct found *f)
{
    return to_table_of(tx, f, entry_value_count(f->entry));
}

/* An intset becomes a packed: never smaller than it. */
static bool to_packed(struct found *f)
{
    struct intset s = entry_intset(f->entry);
    size_t count = intset_count(s), size = PACKED_HEAD, before = s.size;
    struct set_member m;
    unsigned char *copy = tu_alloc(before);
    if (!copy)
        return false;
    memcpy(copy, s.bytes, before);
    s.bytes = copy;
    for (size_t i = 0; i < count; i++) {
        set_member_of_integer(&m, intset_get(s, i));
        size += packed_item_size(set_member_text(&m));
    }
    unsigned char *to = value_splice(f, 0, before, size);
    if (to) {
        f->entry->encoding = ENCODING_PACKED;
        packed_set_count(to, count);
        to += PACKED_HEAD;
        for (size_t i = 0; i < count; i++) {
            set_member_of_integer(&m, intset_get(s, i));
            to = packed_write(to, set_member_text(&m));
        }
    }
    tu_free(copy);
    return to != NULL;
}

bool set_form_expect(struct transaction *tx, struct found *f, size_t count)
{
    if (f->entry->encoding == ENCODING_TABLE)
        return true;
    int64_t limit = f->entry->encoding == ENCODING_INTSET ? intset_limit(tx) : packed_limit(tx);
    return count <= (uint64_t)limit || to_table(tx, f);
}

bool set_form_reserve(struct transaction *tx, struct found *f, size_t count)
{
    bool stays_small = count <= (uint64_t)intset_limit(tx) || count <= (uint64_t)packed_limit(tx);
    return stays_small || to_table_of(tx, f, count);
}

/* True if an intset and one more text would be a good packed. */
static bool fits_packed(struct transaction *tx, const struct entry *e, struct slice text)
{
    struct intset s = entry_intset(e);
    char digits[NUMBER_INT64_MAX_SIZE];
    size_t count = intset_count(s);
    return count < (uint64_t)packed_limit(tx) && is_short(tx, text.size) &&
           (count == 0 || (is_short(tx, number_format_int64(digits, intset_get(s, 0))) &&
                           is_short(tx, number_format_int64(digits, intset_get(s, count - 1)))));
}

/* Puts the value of `made`, which is not in the keyspace and goes, in the place of f's. */
static void take_over(struct found *f, struct found *made)
{
    struct slice bytes = entry_string(made->entry);
    enum entry_encoding encoding = made->entry->encoding;
    unsigned char *to = NULL;
    if (f->entry->encoding != ENCODING_TABLE) {
        to = value_splice(f, 0, entry_string(f->entry).size, bytes.size);
    } else {
        struct element_table *t = value_object(f);
        if (value_become_bytes(f, encoding, bytes.size)) {
            element_table_free(t);
            to = (unsigned char *)(uintptr_t)entry_string(f->entry).data;
        }
    }
    if (to) {
        memcpy(to, bytes.data, bytes.size);
        f->entry->encoding = encoding;
    }
    entry_free(made->entry);
}

/* The same members in a form that begins as that of a set whose first is `first`. */
static void rebuild(struct transaction *tx, struct found *f, struct set_member *first)
{
    struct set_walk walk;
    struct set_member m;
    struct found made = {.entry = set_form_new(tx, SLICE(""), first, 0)};
    enum element_added put = made.entry ? ELEMENT_ADDED : ELEMENT_NO_MEMORY;
    set_walk_begin(&walk, f->entry);
    while (put != ELEMENT_NO_MEMORY && set_walk_next(&walk, &m))
        put = set_form_put(tx, &made, &m);
    if (put != ELEMENT_NO_MEMORY && made.entry->encoding != ENCODING_TABLE)
        take_over(f, &made);
    else if (made.entry)
        entry_free(made.entry);
}

void set_form_narrow(struct transaction *tx, struct found *f)
{
    struct set_walk walk;
    struct set_member m;
    if (f->entry->encoding == ENCODING_INTSET ||
        entry_value_count(f->entry) > (uint64_t)intset_limit(tx))
        return;
    set_walk_begin(&walk, f->entry);
    while (set_walk_next(&walk, &m))
        if (!set_member_is_integer(&m))
            return;
    rebuild(tx, f, &m);
}

void set_form_renew(struct transaction *tx, struct found *f)
{
    struct set_member first;
    if (f->entry->encoding == ENCODING_TABLE)
        set_member_of(&first, SLICE("text"));
    else
        set_member_of_integer(&first, 0);
    if (f->entry->encoding != ENCODING_INTSET)
        rebuild(tx, f, &first);
}

/* ---- changing ---- */

static enum element_added put_table(const struct found *f, struct set_member *m)
{
    return element_table_add(value_object(f), set_member_text(m));
}

static enum element_added put_packed(struct transaction *tx, struct found *f, struct set_member *m)
{
    struct packed p = entry_packed(f->entry);
    struct slice text = set_member_text(m);
    if (packed_find(p, packed_first(p), 1, text) < p.size)
        return ELEMENT_EXISTS;
    if (packed_count(p) >= (uint64_t)packed_limit(tx) || !is_short(tx, text.size))
        return to_table(tx, f) ? put_table(f, m) : ELEMENT_NO_MEMORY;
    struct packed_store store = value_packed_store(f);
    return packed_insert(&store, p, p.size, &text, 1) ? ELEMENT_ADDED : ELEMENT_NO_MEMORY;
}

static enum element_added put_intset(struct transaction *tx, struct found *f, struct set_member *m)
{
    struct intset s = entry_intset(f->entry);
    size_t at;
    if (!set_member_is_integer(m)) {
        if (fits_packed(tx, f->entry, m->text))
            return to_packed(f) ? put_packed(tx, f, m) : ELEMENT_NO_MEMORY;
        return to_table(tx, f) ? put_table(f, m) : ELEMENT_NO_MEMORY;
    }
    if (intset_find(s, m->integer, &at))
        return ELEMENT_EXISTS;
    if (intset_count(s) >= (uint64_t)intset_limit(tx))
        return to_table(tx, f) ? put_table(f, m) : ELEMENT_NO_MEMORY;
    struct packed_store store = value_packed_store(f);
    return intset_insert(&store, s, at, m->integer) ? ELEMENT_ADDED : ELEMENT_NO_MEMORY;
}

enum element_added set_form_put(struct transaction *tx, struct found *f, struct set_member *m)
{
    switch (f->entry->encoding) {
    case ENCODING_INTSET: return put_intset(tx, f, m);
    case ENCODING_PACKED: return put_packed(tx, f, m);
    default: return put_table(f, m);
    }
}

void set_form_take_at(struct found *f, size_t at)
{
    struct packed_store store = value_packed_store(f);
    if (f->entry->encoding == ENCODING_INTSET)
        intset_remove(&store, entry_intset(f->entry), at, 1);
    else
        packed_remove(&store, entry_packed(f->entry), at, 1);
}

bool set_form_take(struct found *f, struct set_member *m)
{
    size_t at;
    if (f->entry->encoding == ENCODING_TABLE)
        return element_table_remove(value_object(f), set_member_text(m));
    if (f->entry->encoding == ENCODING_INTSET) {
        if (!set_member_is_integer(m) || !intset_find(entry_intset(f->entry), m->integer, &at))
            return false;
    } else {
        struct packed p = entry_packed(f->entry);
        at = packed_find(p, packed_first(p), 1, set_member_text(m));
        if (at == p.size)
            return false;
    }
    set_form_take_at(f, at);
    return true;
}

/* ---- the type's row ---- */

static void free_table(void *object)
{
    element_table_free(object);
}

static size_t table_count(const void *object)
{
    return element_table_count(object);
}

static size_t table_memory(const void *object)
{
    return tu_usable_size(object) + element_table_memory(object);
}

static void *copy_table(const void *object)
{
    return element_table_copy(object);
}

static void digest(const struct entry *e, uint8_t out[SHA1_SIZE])
{
    struct set_walk walk;
    struct set_member m;
    set_walk_begin(&walk, e);
    while (set_walk_next(&walk, &m)) {
        struct slice text = set_member_text(&m);
        digest_xor(out, text.data, text.size);
    }
}

void set_form_verify(const struct entry *e)
{
    if (e->encoding == ENCODING_TABLE)
        element_table_verify(entry_table(e));
    else if (e->encoding == ENCODING_INTSET)
        tu_check(intset_is_valid(entry_intset(e)), "a broken intset");
    else
        packed_verify_names(entry_packed(e), 1);
    tu_check(entry_value_count(e) > 0, "a set without members");
}

const struct type_ops set_type_ops = {
    .free = free_table,
    .free_effort = table_count,
    .size = table_count,
    .memory = table_memory,
    .copy = copy_table,
    .digest = digest,
    .verify = set_form_verify,
};
