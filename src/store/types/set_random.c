/* set_random.c - random members, each as likely as any other.
 *
 * Different ones: a few are drawn and those already drawn are remembered; when they are many of all, or the form has no
 * way to a member by number, one walk takes each member with the chance that makes all choices equally likely
 * (selection sampling).
 */
#include "store/types/set.h"

#include <tuco/mem.h>

struct selection {
    struct random_state *random;
    size_t left, wanted;
};

static bool selected(struct selection *s)
{
    bool yes = s->wanted > 0 && random_below(s->random, s->left) < s->wanted;
    s->wanted -= yes;
    s->left--;
    return yes;
}

static void select_by_walk(const struct set_view *v, size_t count, set_visit_fn visit,
                           void *context)
{
    struct selection s = {&v->shard->random, set_count(v), count};
    struct set_iterator it;
    struct slice member;
    set_iterate(v, &it);
    while (s.wanted > 0 && set_next(&it, &member))
        if (selected(&s))
            visit(context, member);
}

/* One draw from a form that allows it; *token, not 0, names the member. */
static void draw(const struct set_view *v, struct set_member *m, uintptr_t *token)
{
    struct random_state *random = &v->shard->random;
    if (v->entry->encoding == ENCODING_INTSET) {
        struct intset s = entry_intset(v->entry);
        size_t at = random_below(random, intset_count(s));
        set_member_of_integer(m, intset_get(s, at));
        *token = at + 1;
        return;
    }
    struct element_place place;
    const struct element *e = element_table_random(entry_table(v->entry), random, &place);
    set_member_of(m, element_name(e));
    *token = (uintptr_t)e;
}

/* True if it was not in the set of `mask` + 1 places. */
static bool remember(uintptr_t *places, size_t mask, uintptr_t token)
{
    size_t at = (size_t)(token * UINT64_C(0x9e3779b97f4a7c15) >> 20) & mask;
    for (; places[at]; at = (at + 1) & mask)
        if (places[at] == token)
            return false;
    places[at] = token;
    return true;
}

/* False: out of memory, nothing was visited. */
static bool draw_distinct(const struct set_view *v, size_t count, set_visit_fn visit, void *context)
{
    enum { FEW = 32 };
    uintptr_t few[FEW] = {0}, *places = few;
    size_t mask = FEW - 1;
    while (mask < 2 * count)
        mask = 2 * mask + 1;
    if (mask >= FEW && (places = tu_alloc_zeroed((mask + 1) * sizeof *places)) == NULL)
        return false;
    for (size_t done = 0; done < count;) {
        struct set_member m;
        uintptr_t token;
        draw(v, &m, &token);
        if (remember(places, mask, token)) {
            visit(context, set_member_text(&m));
            done++;
        }
    }
    if (places != few)
        tu_free(places);
    return true;
}

void set_random_distinct(const struct set_view *v, size_t count, set_visit_fn visit, void *context)
{
    enum { PART = 4 }; /* a draw costs about as much as walking over four */
    if (v->entry->encoding == ENCODING_PACKED || count >= set_count(v) / PART ||
        !draw_distinct(v, count, visit, context))
        select_by_walk(v, count, visit, context);
}

/* Many draws from a packed find the members once; if memory does not suffice, each draw walks. */
static void draw_packed(const struct set_view *v, uint64_t count, set_visit_fn visit, void *context)
{
    struct packed p = entry_packed(v->entry);
    size_t all = set_count(v), n = 0;
    size_t *offsets = count > 2 ? tu_alloc(all * sizeof *offsets) : NULL;
    if (offsets)
        for (size_t at = packed_first(p); at < p.size; at = packed_next(p, at))
            offsets[n++] = at;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t pick = random_below(&v->shard->random, all);
        struct packed_item item;
        packed_get(p, offsets ? offsets[pick] : packed_seek(p, (int64_t)pick), &item);
        visit(context, packed_text(&item));
    }
    tu_free(offsets);
}

void set_random_any(const struct set_view *v, uint64_t count, set_visit_fn visit, void *context)
{
    if (v->entry->encoding == ENCODING_PACKED) {
        draw_packed(v, count, visit, context);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        struct set_member m;
        uintptr_t token;
        draw(v, &m, &token);
        visit(context, set_member_text(&m));
    }
}

/* ---- SPOP ---- */

static void pop_one(struct found *f, const struct set_visitor *visitor)
{
    struct random_state *random = &f->shard->random;
    struct packed_item item;
    if (f->entry->encoding == ENCODING_TABLE) {
        struct element_place place;
        struct element_table *t = value_object(f);
        visitor->each(visitor->context, element_name(element_table_random(t, random, &place)));
        element_table_remove_at(t, &place);
        return;
    }
    size_t at = random_below(random, entry_value_count(f->entry));
    if (f->entry->encoding == ENCODING_INTSET) {
        item.is_integer = true;
        item.integer = intset_get(entry_intset(f->entry), at);
    } else {
        at = packed_seek(entry_packed(f->entry), (int64_t)at);
        packed_get(entry_packed(f->entry), at, &item);
    }
    visitor->each(visitor->context, packed_text(&item));
    set_form_take_at(f, at);
}

enum store_result set_pop(struct transaction *tx, struct store_key key, uint64_t count,
                          const struct set_visitor *visitor)
{
    enum { FEW_LEFT = 5 };
    struct found f;
    enum store_result rc = value_find(tx, key, TYPE_SET, LOOKUP_WRITE, &f);
    if (rc != STORE_OK)
        return rc;
    size_t all = entry_value_count(f.entry);
    bool whole = count >= all;
    size_t taken = whole ? all : (size_t)count;
    if (visitor->begin)
        visitor->begin(visitor->context, taken);
    if (taken == 0)
        return STORE_OK;
    if (whole) {
        struct set_iterator it;
        struct slice member;
        set_iterate(&(struct set_view){f.entry, f.shard}, &it);
        while (set_next(&it, &member))
            visitor->each(visitor->context, member);
    } else {
        for (size_t i = 0; i < taken; i++)
            pop_one(&f, visitor);
        if (visitor->begin && FEW_LEFT * (all - taken) <= taken)
            set_form_renew(tx, &f); /* where the peers move what is left to a new set */
    }
    value_changed(tx, key, EVENT_SET, "spop", taken);
    if (whole)
        value_drop_empty(tx, key, &f);
    return STORE_OK;
}
