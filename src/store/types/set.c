/* set.c - operations on one or two sets. Random members are in set_random.c, several sets in set_combine.c. */
#include "store/types/set.h"

enum store_result set_open(struct transaction *tx, struct store_key key, enum lookup_how how,
                           struct set_view *v)
{
    struct found f;
    enum store_result rc = value_find(tx, key, TYPE_SET, how, &f);
    *v = (struct set_view){rc == STORE_OK ? f.entry : NULL, f.shard};
    return rc;
}

bool set_contains(const struct set_view *v, struct slice member)
{
    struct set_member m;
    if (!v->entry)
        return false;
    set_member_of(&m, member);
    return set_form_contains(v->entry, &m);
}

void set_iterate(const struct set_view *v, struct set_iterator *it)
{
    it->any = v->entry != NULL;
    if (it->any)
        set_walk_begin(&it->walk, v->entry);
}

bool set_next(struct set_iterator *it, struct slice *member)
{
    if (!it->any || !set_walk_next(&it->walk, &it->member))
        return false;
    *member = set_member_text(&it->member);
    return true;
}

uint64_t set_scan(const struct set_view *v, uint64_t cursor, uint64_t count, set_visit_fn visit,
                  void *context)
{
    struct slice member;
    if (!v->entry || v->entry->encoding != ENCODING_TABLE) {
        struct set_iterator it;
        set_iterate(v, &it);
        while (set_next(&it, &member))
            visit(context, member);
        return 0;
    }
    uint64_t seen = 0;
    do {
        struct element *found[ELEMENT_SCAN_MAX];
        size_t n;
        cursor = element_table_scan(entry_table(v->entry), cursor, found, &n);
        for (size_t i = 0; i < n; i++)
            visit(context, element_name(found[i]));
        seen += n;
    } while (cursor != 0 && seen < count);
    return cursor;
}

/* ---- adding ---- */

/* Makes the set, which is missing, for these members. */
static enum store_result make(struct transaction *tx, struct store_key key,
                              struct set_member *first, size_t count, struct found *f)
{
    struct entry *e = set_form_new(tx, key.name, first, count);
    if (!e)
        return STORE_NO_MEMORY;
    enum store_result rc = shard_insert(tx, tx->db, e, key.hash);
    if (rc == STORE_OK)
        *f = shard_lookup(tx, tx->db, key, LOOKUP_PEEK);
    else
        entry_free(e);
    return rc;
}

enum store_result set_add(struct transaction *tx, struct store_key key, const struct slice *members,
                          size_t count, size_t *added)
{
    struct found f;
    struct set_member m;
    *added = 0;
    set_member_of(&m, members[0]);
    enum store_result rc = value_find(tx, key, TYPE_SET, LOOKUP_WRITE, &f);
    bool made = rc == STORE_MISSING;
    if (made)
        rc = make(tx, key, &m, count, &f);
    else if (rc == STORE_OK && !set_form_expect(tx, &f, count))
        rc = STORE_NO_MEMORY;
    if (rc != STORE_OK)
        return rc;
    for (size_t i = 0; i < count && rc == STORE_OK; i++) {
        if (i > 0)
            set_member_of(&m, members[i]);
        enum element_added put = set_form_put(tx, &f, &m);
        *added += put == ELEMENT_ADDED;
        rc = put == ELEMENT_NO_MEMORY ? STORE_NO_MEMORY : STORE_OK;
    }
    if (*added > 0)
        value_changed(tx, key, EVENT_SET, "sadd", *added);
    else if (made)
        shard_delete(&f, false); /* memory did not suffice for one: nobody has seen the key */
    return rc;
}

/* ---- taking out ---- */

enum store_result set_remove(struct transaction *tx, struct store_key key,
                             const struct slice *members, size_t count, size_t *removed)
{
    struct found f;
    *removed = 0;
    enum store_result rc = value_find(tx, key, TYPE_SET, LOOKUP_WRITE, &f);
    if (rc != STORE_OK)
        return rc;
    for (size_t i = 0; i < count; i++) {
        struct set_member m;
        set_member_of(&m, members[i]);
        *removed += set_form_take(&f, &m);
    }
    if (*removed == 0)
        return STORE_OK;
    value_changed(tx, key, EVENT_SET, "srem", *removed);
    if (entry_value_count(f.entry) == 0)
        value_drop_empty(tx, key, &f);
    return STORE_OK;
}

enum store_result set_move(struct transaction *tx, struct store_key from, struct store_key to,
                           struct slice member)
{
    struct found source, destination;
    struct set_member m;
    size_t changed;
    enum store_result rc = value_find(tx, from, TYPE_SET, LOOKUP_WRITE, &source);
    if (rc == STORE_MISSING)
        return rc;
    enum store_result there = value_find(tx, to, TYPE_SET, LOOKUP_WRITE, &destination);
    if (rc == STORE_WRONG_TYPE || there == STORE_WRONG_TYPE)
        return STORE_WRONG_TYPE;
    set_member_of(&m, member);
    if (!set_form_contains(source.entry, &m))
        return STORE_MISSING;
    if (slice_equal(from.name, to.name))
        return STORE_SAME;
    /* Clients see "srem" before "sadd", so memory for the member is made sure of by adding it unseen. */
    if (there == STORE_MISSING)
        rc = make(tx, to, &m, 1, &destination);
    enum element_added put =
        rc == STORE_OK ? set_form_put(tx, &destination, &m) : ELEMENT_NO_MEMORY;
    if (put == ELEMENT_NO_MEMORY) {
        if (rc == STORE_OK && there == STORE_MISSING)
            shard_delete(&destination, false);
        return STORE_NO_MEMORY;
    }
    rc = set_remove(tx, from, &member, 1, &changed);
    if (put == ELEMENT_ADDED)
        value_changed(tx, to, EVENT_SET, "sadd", 1);
    return rc;
}
