/* set.h - the set type: members without order.
 *
 *     struct set_view v;
 *     if (set_open(tx, key, LOOKUP_READ, &v) == STORE_OK) {
 *         struct set_iterator it;
 *         struct slice member;
 *         set_iterate(&v, &it);
 *         while (set_next(&it, &member)) ...
 *
 * The forms of a set are set_form.h's. Results of a view live until the set changes. An operation on several members that
 * runs out of memory half-way keeps what it has done, and has told it. The key's shard is held; none parks.
 */
#pragma once

#include "store/types/set_form.h"

/* A set that is there, or nothing. */
struct set_view {
    const struct entry *entry; /* NULL: missing */
    struct shard *shard;
};

/* ---- reading ---- */

/* STORE_OK, STORE_MISSING (the view is empty, and may be asked) or STORE_WRONG_TYPE. */
enum store_result set_open(struct transaction *tx, struct store_key key, enum lookup_how how,
                           struct set_view *v);
static inline size_t set_count(const struct set_view *v)
{
    return v->entry ? entry_value_count(v->entry) : 0;
}
bool set_contains(const struct set_view *v, struct slice member);

/* All members; the set must not change meanwhile. */
struct set_iterator {
    bool any;
    struct set_walk walk;
    struct set_member member;
};
void set_iterate(const struct set_view *v, struct set_iterator *it);
/* False: that was all. *member is valid until the next call. */
bool set_next(struct set_iterator *it, struct slice *member);

/* The slice dies when it returns. */
typedef void (*set_visit_fn)(void *context, struct slice member);
/* Visits about `count` members from `cursor` on: the next cursor, 0 at the end. Small forms are visited whole. */
uint64_t set_scan(const struct set_view *v, uint64_t cursor, uint64_t count, set_visit_fn visit,
                  void *context);
/* `count` random members, all different; there are at least that many. */
void set_random_distinct(const struct set_view *v, size_t count, set_visit_fn visit, void *context);
/* `count` draws from a set that is not empty; a member may come again. */
void set_random_any(const struct set_view *v, uint64_t count, set_visit_fn visit, void *context);

/* ---- writing ---- */

/* SADD. *added: how many are new. Event "sadd" if any. STORE_OK, STORE_WRONG_TYPE, STORE_NO_MEMORY. */
enum store_result set_add(struct transaction *tx, struct store_key key, const struct slice *members,
                          size_t count, size_t *added);
/* SREM. STORE_MISSING is *removed 0, too. Event "srem" if any. */
enum store_result set_remove(struct transaction *tx, struct store_key key,
                             const struct slice *members, size_t count, size_t *removed);
/* SMOVE. STORE_MISSING: no such source or member. STORE_SAME: source and destination are one set, which has it. */
enum store_result set_move(struct transaction *tx, struct store_key from, struct store_key to,
                           struct slice member);
/* SPOP: takes `count` random members, or all if there are not more; `begin` (may be NULL) is told how many. Event "spop". */
struct set_visitor {
    void (*begin)(void *context, size_t count);
    set_visit_fn each;
    void *context;
};
enum store_result set_pop(struct transaction *tx, struct store_key key, uint64_t count,
                          const struct set_visitor *visitor);

/* ---- several sets; missing ones are empty ---- */

enum set_operator { SET_UNION, SET_INTERSECTION, SET_DIFFERENCE };
/* Visits each member of the result once: at most `limit` of them (0: all). The sets' types are looked at first. STORE_OK,
 * STORE_WRONG_TYPE, STORE_NO_MEMORY: nothing was visited. */
enum store_result set_combine(struct transaction *tx, enum set_operator op,
                              const struct store_key *keys, size_t count, uint64_t limit,
                              set_visit_fn visit, void *context);
/* Puts the result under `to`, whatever is there, or removes that if the result is empty. `event` is that of the new
 * set. */
enum store_result set_combine_store(struct transaction *tx, enum set_operator op,
                                    struct store_key to, const struct store_key *keys, size_t count,
                                    const char *event, size_t *size);
