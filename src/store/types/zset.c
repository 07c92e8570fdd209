/* zset.c - members and scores in both forms.
 *
 * The forms meet in a few functions: find, put, ranks, visit and take. In the packed form a whole score is an integer, any
 * other its shortest text; -0 is 0 there and -0 in the tree, as the peers have it.
 */
#include "store/types/zset.h"

#include "base/number.h"
#include "store/types/value.h"
#include "store/types/zset_object.h"

#include <math.h>

static inline bool is_packed(const struct found *f)
{
    return f->entry->encoding == ENCODING_PACKED;
}

static inline struct zset_object *object_of(const struct found *f)
{
    return value_object(f);
}

/* ---- the packed form ---- */

/* True if the pair at `at` is before (score, member). */
static bool pair_is_before(struct packed p, size_t at, double score, struct slice member)
{
    double there = zset_packed_score(p, packed_next(p, at));
    if (there != score)
        return there < score;
    struct packed_item name;
    packed_get(p, at, &name);
    return score_compare_names(packed_text(&name), member) < 0;
}

/* Where the first pair is that is not before (score, member). Members often come in order: the last pair is asked first. */
static size_t packed_place(struct packed p, double score, struct slice member)
{
    size_t at = packed_first(p);
    if (at == p.size || pair_is_before(p, packed_prev(p, packed_prev(p, p.size)), score, member))
        return p.size;
    while (pair_is_before(p, at, score, member)) /* ends at the last pair at the latest */
        at = packed_next(p, packed_next(p, at));
    return at;
}

static bool packed_put(struct found *f, struct slice member, double score)
{
    char text[NUMBER_DOUBLE_MAX_SIZE];
    struct packed p = entry_packed(f->entry);
    struct packed_store store = value_packed_store(f);
    const struct slice pair[2] = {member, zset_packed_text(score, text)};
    return packed_insert(&store, p, packed_place(p, score, member), pair, 2);
}

/* Another score for the pair at `at`: in place if it stays where it is, else a second pair before the first goes, so that
 * memory may run out. */
static bool packed_rescore(struct found *f, size_t at, struct slice member, double score)
{
    char text[NUMBER_DOUBLE_MAX_SIZE], before[NUMBER_DOUBLE_MAX_SIZE];
    struct packed p = entry_packed(f->entry);
    struct packed_store store = value_packed_store(f);
    double old = zset_packed_score(p, packed_next(p, at));
    if (packed_item_size(zset_packed_text(score, text)) ==
        packed_item_size(zset_packed_text(old, before))) {
        size_t next = packed_next(p, packed_next(p, at));
        size_t prev_score = packed_prev(p, at);
        bool stays = (next == p.size || zset_packed_score(p, packed_next(p, next)) > score) &&
                     (prev_score == 0 || zset_packed_score(p, prev_score) < score);
        if (stays)
            return packed_replace(&store, p, packed_next(p, at), zset_packed_text(score, text));
    }
    const struct slice pair[2] = {member, zset_packed_text(score, text)};
    size_t to = packed_place(p, score, member);
    if (!packed_insert(&store, p, to, pair, 2))
        return false;
    struct packed after = entry_packed(f->entry);
    packed_remove(&store, after, to <= at ? at + (after.size - p.size) : at, 2);
    return true;
}

/* ---- the forms ---- */

static bool to_object(struct transaction *tx, struct found *f)
{
    struct zset_object *o = zset_object_of_packed(&tx->keyspace->secret, entry_packed(f->entry));
    if (!o)
        return false;
    if (value_become_object(f, ENCODING_TREE, o))
        return true;
    zset_object_free(o);
    return false;
}

/* True if this many members, the longest of this size, may lie packed. */
static bool fits_packed(struct transaction *tx, size_t count, size_t size)
{
    const struct type_limits *limits = keyspace_limits(tx->keyspace);
    return count <= (uint64_t)type_limit(&limits->zset_max_listpack_entries) &&
           size <= (uint64_t)type_limit(&limits->zset_max_listpack_value);
}

static enum store_result make(struct transaction *tx, struct store_key key, bool packed,
                              struct found *f)
{
    if (packed)
        return value_make_bytes(tx, key, TYPE_ZSET, ENCODING_PACKED, PACKED_HEAD, f);
    struct zset_object *o = zset_object_new(&tx->keyspace->secret);
    enum store_result rc =
        o ? value_make_object(tx, key, TYPE_ZSET, ENCODING_TREE, o, f) : STORE_NO_MEMORY;
    if (rc != STORE_OK && o)
        zset_object_free(o);
    return rc;
}

/* Where a member is, in either form. */
struct member_at {
    size_t at; /* packed */
    struct element_place place;
    double score;
};

static bool find(const struct found *f, struct slice member, struct member_at *out)
{
    if (!f->entry)
        return false;
    if (is_packed(f)) {
        struct packed p = entry_packed(f->entry);
        out->at = packed_find(p, packed_first(p), 2, member);
        if (out->at == p.size)
            return false;
        out->score = zset_packed_score(p, packed_next(p, out->at));
        return true;
    }
    const struct element *e = element_table_find(&object_of(f)->members, member, &out->place);
    if (e)
        out->score = element_score(e);
    return e != NULL;
}

static bool put_new(struct transaction *tx, struct found *f, struct slice member, double score)
{
    if (is_packed(f) && fits_packed(tx, entry_value_count(f->entry) + 1, member.size))
        return packed_put(f, member, score);
    if (is_packed(f) && !to_object(tx, f))
        return false;
    return zset_object_add(object_of(f), member, score);
}

static bool rescore(struct found *f, const struct member_at *where, struct slice member,
                    double score)
{
    return is_packed(f) ? packed_rescore(f, where->at, member, score)
                        : zset_object_rescore(object_of(f), &where->place, score);
}

/* ---- reading ---- */

enum store_result zset_open(struct transaction *tx, struct store_key key, enum lookup_how how,
                            struct zset_view *v)
{
    *v = (struct zset_view){.tx = tx, .key = key};
    enum store_result rc = value_find(tx, key, TYPE_ZSET, how, &v->f);
    if (rc == STORE_WRONG_TYPE)
        v->f.entry = NULL;
    return rc;
}

size_t zset_count(const struct zset_view *v)
{
    return v->f.entry ? entry_value_count(v->f.entry) : 0;
}

bool zset_score(const struct zset_view *v, struct slice member, double *score)
{
    struct member_at where;
    bool there = find(&v->f, member, &where);
    if (there)
        *score = where.score;
    return there;
}

bool zset_score_hashed(const struct zset_view *v, struct slice member, uint64_t hash, double *score)
{
    if (!v->f.entry || is_packed(&v->f))
        return zset_score(v, member, score);
    const struct element *e = element_table_find_hashed(&object_of(&v->f)->members, member, hash);
    if (e)
        *score = element_score(e);
    return e != NULL;
}

bool zset_rank(const struct zset_view *v, struct slice member, size_t *rank, double *score)
{
    struct member_at where;
    if (!find(&v->f, member, &where))
        return false;
    *score = where.score;
    if (is_packed(&v->f)) {
        *rank = 0;
        struct packed p = entry_packed(v->f.entry);
        for (size_t at = packed_first(p); at < where.at; at = packed_next(p, packed_next(p, at)))
            ++*rank;
    } else {
        const struct zset_object *o = object_of(&v->f);
        *rank = score_tree_rank(&o->order, element_table_at(&o->members, &where.place));
    }
    return true;
}

/* ---- ranges ---- */

struct zset_ranks zset_ranks_by_index(const struct zset_view *v, int64_t start, int64_t stop,
                                      bool reverse)
{
    int64_t count = (int64_t)zset_count(v);
    if (start < 0)
        start = start + count < 0 ? 0 : start + count;
    if (stop < 0)
        stop += count;
    if (start > stop || start >= count)
        return (struct zset_ranks){0, 0};
    if (stop >= count)
        stop = count - 1;
    if (reverse)
        return (struct zset_ranks){(size_t)(count - 1 - stop), (size_t)(count - start)};
    return (struct zset_ranks){(size_t)start, (size_t)(stop + 1)};
}

/* Number of members before the bound. */
static size_t before(const struct zset_view *v, const struct score_bound *b)
{
    if (!is_packed(&v->f))
        return score_tree_before(&object_of(&v->f)->order, b);
    struct packed p = entry_packed(v->f.entry);
    size_t n = 0;
    for (size_t at = packed_first(p); at < p.size; n++) {
        size_t score_at = packed_next(p, at);
        if (b->kind == BOUND_SCORE) {
            double score = zset_packed_score(p, score_at);
            if (b->after ? score > b->score : score >= b->score)
                break;
        } else {
            struct packed_item name;
            packed_get(p, at, &name);
            int c = score_compare_names(packed_text(&name), b->member);
            if (b->after ? c > 0 : c >= 0)
                break;
        }
        at = packed_next(p, score_at);
    }
    return n;
}

static struct zset_ranks between(size_t first, size_t end)
{
    return first < end ? (struct zset_ranks){first, end} : (struct zset_ranks){0, 0};
}

struct zset_ranks zset_ranks_by_score(const struct zset_view *v, const struct zset_score_range *r)
{
    const struct score_bound min = {BOUND_SCORE, r->min_excluded, r->min, {0}},
                             max = {BOUND_SCORE, !r->max_excluded, r->max, {0}};
    if (!v->f.entry || r->min > r->max)
        return (struct zset_ranks){0, 0};
    size_t first = before(v, &min);
    return between(first, before(v, &max));
}

static size_t lex_rank(const struct zset_view *v, const struct zset_lex_end *e, bool after)
{
    const struct score_bound b = {BOUND_MEMBER, after, 0, e->member};
    return e->kind == LEX_LEAST ? 0 : e->kind == LEX_GREATEST ? zset_count(v) : before(v, &b);
}

/* -1, 0, 1: the member is before, in, behind the end of a range. */
static int lex_side(const struct zset_lex_end *e, struct slice member)
{
    if (e->kind != LEX_MEMBER)
        return e->kind == LEX_LEAST ? 1 : -1;
    return score_compare_names(member, e->member);
}

static bool is_above(const struct zset_lex_end *min, struct slice member)
{
    int side = lex_side(min, member);
    return side > 0 || (side == 0 && !min->excluded);
}

static bool is_below(const struct zset_lex_end *max, struct slice member)
{
    int side = lex_side(max, member);
    return side < 0 || (side == 0 && !max->excluded);
}

/* True if no member can be between the ends. */
static bool is_lex_empty(const struct zset_lex_range *r)
{
    if (r->min.kind == LEX_MEMBER && r->max.kind == LEX_MEMBER) {
        int side = score_compare_names(r->min.member, r->max.member);
        return side > 0 || (side == 0 && (r->min.excluded || r->max.excluded));
    }
    return r->min.kind == LEX_GREATEST || r->max.kind == LEX_LEAST;
}

/* The walk is always from the lower end: upwards it is over at the first member beyond the range; downwards the last member that is
 * not behind `max` decides, with those before it that are not before `min`. */
static struct zset_ranks packed_lex(struct packed p, const struct zset_lex_range *r, bool reverse)
{
    struct zset_ranks ranks = {0, 0};
    bool above = false, below = true, found = false;
    size_t rank = 0, run = 0; /* run: since which rank all have been above min */
    for (size_t at = packed_first(p); at < p.size; rank++) {
        struct packed_item item;
        packed_get(p, at, &item);
        struct slice name = packed_text(&item);
        bool was_above = above;
        above = is_above(&r->min, name);
        below = is_below(&r->max, name);
        run = was_above ? run : rank;
        if (rank == 0 && !below)
            return ranks; /* the lowest is behind the range */
        if (reverse && below)
            ranks = above ? (struct zset_ranks){run, rank + 1} : (struct zset_ranks){0, 0};
        if (!reverse && !found && above) {
            found = true;
            ranks = (struct zset_ranks){rank, rank};
        }
        if (!reverse && found && below && ranks.end == rank)
            ranks.end = rank + 1;
        at = packed_next(p, packed_next(p, at));
    }
    return above ? ranks : (struct zset_ranks){0, 0}; /* the highest is before the range */
}

struct zset_ranks zset_ranks_by_lex(const struct zset_view *v, const struct zset_lex_range *r,
                                    bool reverse)
{
    if (!v->f.entry || is_lex_empty(r))
        return (struct zset_ranks){0, 0};
    if (is_packed(&v->f))
        return packed_lex(entry_packed(v->f.entry), r, reverse);
    size_t first = lex_rank(v, &r->min, r->min.excluded);
    return between(first, lex_rank(v, &r->max, !r->max.excluded));
}

/* ---- visiting ---- */

static void visit_packed(struct packed p, struct zset_ranks ranks, bool reverse,
                         zset_visit_fn visit, void *context)
{
    size_t left = zset_ranks_count(ranks);
    if (left == 0)
        return;
    size_t at = packed_seek(p, (int64_t)(2 * (reverse ? ranks.end - 1 : ranks.first)));
    for (; left > 0; left--) {
        struct packed_item name;
        packed_get(p, at, &name);
        size_t score_at = packed_next(p, at);
        visit(context, packed_text(&name), zset_packed_score(p, score_at));
        if (!reverse)
            at = packed_next(p, score_at);
        else if (left > 1)
            at = packed_prev(p, packed_prev(p, at));
    }
}

/* Elements lie anywhere: they are fetched so many ahead. */
enum { FETCHED_AHEAD = 8 };

static void visit_run(struct element *const *items, size_t count, zset_visit_fn visit,
                      void *context)
{
    for (size_t i = 0; i < count && i < FETCHED_AHEAD; i++)
        __builtin_prefetch(items[i]);
    for (size_t i = 0; i < count; i++) {
        if (i + FETCHED_AHEAD < count)
            __builtin_prefetch(items[i + FETCHED_AHEAD]);
        visit(context, element_name(items[i]), element_score(items[i]));
    }
}

/* The last `count` items before `end`, backwards. */
static void visit_run_back(struct element *const *end, size_t count, zset_visit_fn visit,
                           void *context)
{
    for (size_t i = 1; i <= count && i <= FETCHED_AHEAD; i++)
        __builtin_prefetch(end[-(ptrdiff_t)i]);
    for (size_t i = 1; i <= count; i++) {
        const struct element *e = end[-(ptrdiff_t)i];
        if (i + FETCHED_AHEAD <= count)
            __builtin_prefetch(end[-(ptrdiff_t)(i + FETCHED_AHEAD)]);
        visit(context, element_name(e), element_score(e));
    }
}

static void visit_tree(const struct score_tree *t, struct zset_ranks ranks, bool reverse,
                       zset_visit_fn visit, void *context)
{
    size_t left = zset_ranks_count(ranks);
    if (left == 0)
        return;
    struct score_place at = score_tree_at(t, reverse ? ranks.end - 1 : ranks.first);
    while (left > 0) {
        struct score_run run = reverse ? score_place_run_back(at) : score_place_run(at);
        size_t count = run.count < left ? run.count : left;
        if (reverse) {
            visit_run_back(run.items + run.count, count, visit, context);
            at = score_place_prev_leaf(at);
        } else {
            visit_run(run.items, count, visit, context);
            at = score_place_next_leaf(at);
        }
        left -= count;
    }
}

static void visit_entry(const struct entry *e, struct zset_ranks ranks, bool reverse,
                        zset_visit_fn visit, void *context)
{
    if (e->encoding == ENCODING_PACKED) {
        visit_packed(entry_packed(e), ranks, reverse, visit, context);
    } else {
        const struct zset_object *o = entry_block(e);
        visit_tree(&o->order, ranks, reverse, visit, context);
    }
}

void zset_visit(const struct zset_view *v, struct zset_ranks ranks, bool reverse,
                zset_visit_fn visit, void *context)
{
    if (v->f.entry)
        visit_entry(v->f.entry, ranks, reverse, visit, context);
}

void zset_entry_each(const struct entry *e, zset_visit_fn visit, void *context)
{
    visit_entry(e, (struct zset_ranks){0, entry_value_count(e)}, false, visit, context);
}

/* ---- adding ---- */

static enum store_result add_one(struct transaction *tx, struct found *f,
                                 const struct zset_member *m, uint32_t flags,
                                 struct zset_added *out)
{
    struct member_at where;
    double score = m->score;
    out->met = false;
    if (!find(f, m->member, &where)) {
        if (flags & ZSET_XX)
            return STORE_OK;
        if (!put_new(tx, f, m->member, score))
            return STORE_NO_MEMORY;
        out->added++;
    } else {
        if (flags & ZSET_NX)
            return STORE_OK;
        if (flags & ZSET_INCREMENT)
            score += where.score;
        if (isnan(score))
            return STORE_NAN;
        if (((flags & ZSET_LT) && score >= where.score) ||
            ((flags & ZSET_GT) && score <= where.score))
            return STORE_OK;
        if (score != where.score) {
            if (!rescore(f, &where, m->member, score))
                return STORE_NO_MEMORY;
            out->updated++;
        }
    }
    out->met = true;
    out->score = score;
    return STORE_OK;
}

static size_t longest(const struct zset_member *members, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        if (members[i].member.size > size)
            size = members[i].member.size;
    return size;
}

enum store_result zset_add(struct transaction *tx, struct store_key key,
                           const struct zset_member *members, size_t count, uint32_t flags,
                           struct zset_added *out)
{
    struct found f;
    *out = (struct zset_added){0};
    enum store_result rc = value_find(tx, key, TYPE_ZSET, LOOKUP_WRITE, &f);
    if (rc == STORE_MISSING) {
        if (flags & ZSET_XX)
            return STORE_OK;
        rc = make(tx, key, fits_packed(tx, count, longest(members, count)), &f);
    } else if (rc == STORE_OK && is_packed(&f) &&
               !fits_packed(tx, count, longest(members, count)) && !to_object(tx, &f)) {
        rc = STORE_NO_MEMORY; /* whether or not they will all be added */
    }
    for (size_t i = 0; rc == STORE_OK && i < count; i++)
        rc = add_one(tx, &f, &members[i], flags, out);
    if (rc == STORE_WRONG_TYPE)
        return rc;
    if (out->added + out->updated > 0)
        value_changed(tx, key, EVENT_ZSET, flags & ZSET_INCREMENT ? "zincr" : "zadd",
                      out->added + out->updated);
    else if (rc == STORE_NO_MEMORY && f.entry && entry_value_count(f.entry) == 0)
        shard_delete(&f, false); /* made for nothing: nobody has seen the key */
    return rc;
}

/* ---- taking ---- */

bool zset_take(struct zset_view *v, struct slice member)
{
    struct member_at where;
    if (!v->f.entry)
        return false;
    if (!is_packed(&v->f)) {
        bool taken = zset_object_remove(object_of(&v->f), member);
        v->changed += taken;
        return taken;
    }
    if (!find(&v->f, member, &where))
        return false;
    struct packed_store store = value_packed_store(&v->f);
    packed_remove(&store, entry_packed(v->f.entry), where.at, 2);
    v->changed++;
    return true;
}

void zset_take_ranks(struct zset_view *v, struct zset_ranks ranks)
{
    size_t count = zset_ranks_count(ranks);
    if (count == 0)
        return;
    if (is_packed(&v->f)) {
        struct packed p = entry_packed(v->f.entry);
        struct packed_store store = value_packed_store(&v->f);
        packed_remove(&store, p, packed_seek(p, (int64_t)(2 * ranks.first)), 2 * count);
    } else {
        for (size_t i = 0; i < count; i++)
            zset_object_remove_rank(object_of(&v->f), ranks.first);
    }
    v->changed += count;
}

void zset_commit(struct zset_view *v, const char *event)
{
    if (v->changed == 0)
        return;
    value_changed(v->tx, v->key, EVENT_ZSET, event, v->changed);
    if (zset_count(v) == 0)
        value_drop_empty(v->tx, v->key, &v->f);
}

void zset_verify(const struct zset_view *v)
{
    if (v->f.entry && !is_packed(&v->f))
        zset_object_verify(object_of(&v->f));
}
