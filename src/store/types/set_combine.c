/* set_combine.c - unions, intersections and differences.
 *
 * Members go to the visitor as they are found, without a set in between: one of a union if none of the sets before has
 * it, one of an intersection if all larger sets have it, one of a difference if none of the others has it. With many
 * sets that would be many looks for each member: then a union of them is made first, and looked at once.
 */
#include "store/types/set.h"

#include "store/long_work.h"

#include <tuco/mem.h>

enum { FEW = 16, MANY = 8 };

/* The sets that are there; of a difference, the first stands first (or is missing: `first` NULL). */
struct sources {
    const struct entry **sets;
    size_t count;
    bool missing; /* at least one is */
    const struct entry *few[FEW];
};

static void close_sources(struct sources *s)
{
    if (s->sets != s->few)
        tu_free(s->sets);
}

static enum store_result open_sources(struct transaction *tx, const struct store_key *keys,
                                      size_t count, bool *first, struct sources *s)
{
    *s = (struct sources){.sets = s->few};
    *first = false;
    if (count > FEW && (s->sets = tu_alloc(count * sizeof *s->sets)) == NULL)
        return STORE_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        struct set_view v;
        if (set_open(tx, keys[i], LOOKUP_READ, &v) == STORE_WRONG_TYPE) {
            close_sources(s);
            return STORE_WRONG_TYPE;
        }
        if (!v.entry) {
            s->missing = true;
            continue;
        }
        *first |= i == 0;
        s->sets[s->count++] = v.entry;
    }
    return STORE_OK;
}

/* False: it is postponed. An intersection goes through its smallest set. */
static bool announce(struct transaction *tx, enum set_operator op, const struct sources *s)
{
    size_t members = 0, fewest = s->missing ? 0 : SIZE_MAX;
    for (size_t i = 0; i < s->count; i++) {
        size_t n = entry_value_count(s->sets[i]);
        members += n;
        fewest = n < fewest ? n : fewest;
    }
    return long_work_begin(tx, op == SET_INTERSECTION && fewest < members ? fewest : members);
}

/* Smaller or (`larger`) larger sets to the front. Lists of keys are short. */
static void sort_sets(const struct entry **sets, size_t count, bool larger)
{
    for (size_t i = 1; i < count; i++) {
        const struct entry *e = sets[i];
        size_t n = entry_value_count(e), at = i;
        for (; at > 0 &&
               (larger ? entry_value_count(sets[at - 1]) < n : entry_value_count(sets[at - 1]) > n);
             at--)
            sets[at] = sets[at - 1];
        sets[at] = e;
    }
}

static size_t largest_of(const struct sources *s)
{
    size_t largest = 0;
    for (size_t i = 0; i < s->count; i++)
        if (entry_value_count(s->sets[i]) > largest)
            largest = entry_value_count(s->sets[i]);
    return largest;
}

static bool any_contains(const struct entry *const *sets, size_t count, struct set_member *m)
{
    for (size_t i = 0; i < count; i++)
        if (set_form_contains(sets[i], m))
            return true;
    return false;
}

static bool all_contain(const struct entry *const *sets, size_t count, struct set_member *m)
{
    for (size_t i = 0; i < count; i++)
        if (!set_form_contains(sets[i], m))
            return false;
    return true;
}

/* All members of these sets in a new one that is not in the keyspace. NULL: out of memory. */
static struct entry *merge(struct transaction *tx, const struct entry *const *sets, size_t count)
{
    struct set_member m;
    set_member_of_integer(&m, 0);
    struct found made = {.entry = set_form_new(tx, SLICE(""), &m, 0)};
    for (size_t i = 0; i < count && made.entry; i++) {
        struct set_walk walk;
        set_walk_begin(&walk, sets[i]);
        while (set_walk_next(&walk, &m)) {
            if (set_form_put(tx, &made, &m) == ELEMENT_NO_MEMORY) {
                entry_free(made.entry);
                return NULL;
            }
        }
    }
    return made.entry;
}

/* ---- to a visitor ---- */

/* Returns false when it wants no more. */
typedef bool (*take_fn)(void *context, struct set_member *m);

static void each_of_union(struct transaction *tx, struct sources *s, take_fn take, void *context)
{
    struct set_walk walk;
    struct set_member m;
    struct entry *merged = s->count > MANY ? merge(tx, s->sets, s->count) : NULL;
    const struct entry *one = merged;
    const struct entry **sets = merged ? &one : s->sets;
    size_t count = merged ? 1 : s->count;
    bool more = true;
    if (!merged)
        sort_sets(sets, count, true); /* the largest is only walked */
    for (size_t i = 0; i < count && more; i++) {
        set_walk_begin(&walk, sets[i]);
        while (more && set_walk_next(&walk, &m))
            if (!any_contains(sets, i, &m))
                more = take(context, &m);
    }
    if (merged)
        entry_free(merged);
}

static void each_of_intersection(struct sources *s, take_fn take, void *context)
{
    struct set_walk walk;
    struct set_member m;
    bool more = true;
    if (s->missing)
        return;
    sort_sets(s->sets, s->count, false);
    set_walk_begin(&walk, s->sets[0]);
    while (more && set_walk_next(&walk, &m))
        if (all_contain(s->sets + 1, s->count - 1, &m))
            more = take(context, &m);
}

static void each_of_difference(struct transaction *tx, struct sources *s, take_fn take,
                               void *context)
{
    struct set_walk walk;
    struct set_member m;
    struct entry *merged = s->count > MANY ? merge(tx, s->sets + 1, s->count - 1) : NULL;
    const struct entry *one = merged;
    const struct entry **others = merged ? &one : s->sets + 1;
    size_t count = merged ? 1 : s->count - 1;
    bool more = true;
    sort_sets(others, count, true); /* the largest is the likeliest to have it */
    set_walk_begin(&walk, s->sets[0]);
    while (more && set_walk_next(&walk, &m))
        if (!any_contains(others, count, &m))
            more = take(context, &m);
    if (merged)
        entry_free(merged);
}

static void each(struct transaction *tx, enum set_operator op, bool first, struct sources *s,
                 take_fn take, void *context)
{
    if (op == SET_UNION)
        each_of_union(tx, s, take, context);
    else if (op == SET_INTERSECTION)
        each_of_intersection(s, take, context);
    else if (first)
        each_of_difference(tx, s, take, context);
}

struct visiting {
    set_visit_fn visit;
    void *context;
    uint64_t left; /* 0: no limit */
};

static bool visit_member(void *context, struct set_member *m)
{
    struct visiting *v = context;
    v->visit(v->context, set_member_text(m));
    return v->left == 0 || --v->left > 0;
}

enum store_result set_combine(struct transaction *tx, enum set_operator op,
                              const struct store_key *keys, size_t count, uint64_t limit,
                              set_visit_fn visit, void *context)
{
    struct sources s;
    bool first;
    struct visiting visiting = {visit, context, limit};
    enum store_result rc = open_sources(tx, keys, count, &first, &s);
    if (rc != STORE_OK)
        return rc;
    if (announce(tx, op, &s))
        each(tx, op, first, &s, visit_member, &visiting);
    else
        rc = STORE_POSTPONED;
    close_sources(&s);
    return rc;
}

/* ---- to a key ---- */

struct building {
    struct transaction *tx;
    struct found made; /* not in the keyspace */
    bool failed;
};

static bool put_member(void *context, struct set_member *m)
{
    struct building *b = context;
    b->failed = set_form_put(b->tx, &b->made, m) == ELEMENT_NO_MEMORY;
    return !b->failed;
}

static void drop_result(struct transaction *tx, struct store_key to)
{
    struct found f = shard_lookup(tx, tx->db, to, LOOKUP_PEEK);
    if (!f.entry)
        return;
    shard_delete(&f, true);
    value_changed(tx, to, EVENT_GENERIC, "del", 1);
}

/* What was built goes under its name, or away. */
static enum store_result settle(struct building *b, enum set_operator op, struct store_key to,
                                const char *event, size_t *size)
{
    if (b->failed) {
        entry_free(b->made.entry);
        return STORE_NO_MEMORY;
    }
    *size = entry_value_count(b->made.entry);
    if (*size == 0) {
        entry_free(b->made.entry);
        drop_result(b->tx, to);
        return STORE_OK;
    }
    if (op == SET_INTERSECTION)
        set_form_narrow(b->tx, &b->made);
    enum store_result rc = value_put(b->tx, to, b->made.entry);
    if (rc != STORE_OK)
        entry_free(b->made.entry);
    else
        value_changed(b->tx, to, EVENT_SET, event, 1);
    return rc;
}

enum store_result set_combine_store(struct transaction *tx, enum set_operator op,
                                    struct store_key to, const struct store_key *keys, size_t count,
                                    const char *event, size_t *size)
{
    struct sources s;
    struct set_member m;
    struct building b = {.tx = tx};
    bool first;
    enum store_result rc = open_sources(tx, keys, count, &first, &s);
    if (rc != STORE_OK)
        return rc;
    if (!announce(tx, op, &s)) {
        close_sources(&s);
        return STORE_POSTPONED;
    }
    set_member_of_integer(&m, 0);
    if (op == SET_INTERSECTION && s.count > 0) {
        sort_sets(s.sets, s.count, false);
        if (s.sets[0]->encoding != ENCODING_INTSET)
            set_member_of(&m, SLICE("text")); /* integers are looked for at the end */
    }
    b.made.entry = set_form_new(tx, to.name, &m, 0);
    if (b.made.entry && op == SET_UNION) { /* putting tells members apart */
        b.failed = !set_form_reserve(tx, &b.made, largest_of(&s));
        for (size_t i = 0; i < s.count && !b.failed; i++) {
            struct set_walk walk;
            set_walk_begin(&walk, s.sets[i]);
            while (!b.failed && set_walk_next(&walk, &m))
                put_member(&b, &m);
        }
    } else if (b.made.entry) {
        each(tx, op, first, &s, put_member, &b);
    }
    rc = b.made.entry ? settle(&b, op, to, event, size) : STORE_NO_MEMORY;
    close_sources(&s);
    return rc;
}
