/* zset.h - the sorted set type: members with scores, ordered by score, then member.
 *
 *     struct zset_view v;
 *     enum store_result rc = zset_open(tx, key, LOOKUP_READ, &v);
 *     if (rc == STORE_OK)
 *         zset_visit(&v, zset_ranks_by_score(&v, &range), false, show, reply);
 *
 * Up to zset-max-listpack-entries members of at most zset-max-listpack-value bytes lie packed, member before score;
 * beyond, in a table and a tree (zset_object.h), which stays one. Ranges of every kind are first made ranks, from the
 * lowest score; what is done with them then does not know where they come from.
 *
 * A view changes by zset_take and zset_take_ranks, of which zset_commit tells. A missing key is an empty view, which may be
 * asked. What a view shows lives until the set changes. The key's shard is held; none parks.
 */
#pragma once

#include "store/shard.h"

struct zset_view {
    struct transaction *tx;
    struct store_key key;
    struct found f;
    uint64_t changed; /* members taken */
};

struct zset_member {
    struct slice member;
    double score; /* a number, or infinite */
};

/* ---- reading ---- */

/* STORE_OK, STORE_MISSING or STORE_WRONG_TYPE. */
enum store_result zset_open(struct transaction *tx, struct store_key key, enum lookup_how how,
                            struct zset_view *v);
size_t zset_count(const struct zset_view *v);
/* False: no such member. */
bool zset_score(const struct zset_view *v, struct slice member, double *score);
/* The same for who knows the hash of its name. */
bool zset_score_hashed(const struct zset_view *v, struct slice member, uint64_t hash,
                       double *score);
/* The rank from the lowest score. False: no such member. */
bool zset_rank(const struct zset_view *v, struct slice member, size_t *rank, double *score);

/* Ranks from `first` up to `end`, which is not one of them. */
struct zset_ranks {
    size_t first, end;
};
static inline size_t zset_ranks_count(struct zset_ranks r)
{
    return r.end - r.first;
}
struct zset_score_range {
    double min, max;
    bool min_excluded, max_excluded;
};
enum zset_lex_kind { LEX_LEAST, LEX_MEMBER, LEX_GREATEST };
struct zset_lex_end {
    enum zset_lex_kind kind;
    bool excluded;
    struct slice member;
};
struct zset_lex_range {
    struct zset_lex_end min, max;
};
/* Negative indexes count from the end. With `reverse`, index 0 is the highest; the ranks are the same. */
struct zset_ranks zset_ranks_by_index(const struct zset_view *v, int64_t start, int64_t stop,
                                      bool reverse);
struct zset_ranks zset_ranks_by_score(const struct zset_view *v, const struct zset_score_range *r);
/* Means something only if all scores are equal; of a packed set with others, whatever a walk from the lower end (`reverse`: from the
 * upper) meets in the range before it meets something that is not, as with the peers. */
struct zset_ranks zset_ranks_by_lex(const struct zset_view *v, const struct zset_lex_range *r,
                                    bool reverse);

/* The member dies when it returns. */
typedef void (*zset_visit_fn)(void *context, struct slice member, double score);
void zset_visit(const struct zset_view *v, struct zset_ranks ranks, bool reverse,
                zset_visit_fn visit, void *context);
/* `count` random members, all different if !again, else a member may come again; of a set with at least as many, or that is
 * not empty. 0 of an empty one. */
void zset_random(const struct zset_view *v, uint64_t count, bool again, zset_visit_fn visit,
                 void *context);
/* Visits about `count` members from `cursor` on: the next cursor, 0 at the end. A packed set is visited whole. */
uint64_t zset_scan(const struct zset_view *v, uint64_t cursor, uint64_t count, zset_visit_fn visit,
                   void *context);
/* All of a value that is a sorted set. */
void zset_entry_each(const struct entry *e, zset_visit_fn visit, void *context);

/* ---- writing ---- */

enum zset_add_flag {
    ZSET_NX = 1 << 0,
    ZSET_XX = 1 << 1,
    ZSET_GT = 1 << 2,
    ZSET_LT = 1 << 3,
    ZSET_INCREMENT = 1 << 4, /* scores are added to what there is */
};
struct zset_added {
    size_t added, updated;
    bool met;     /* the conditions held for the last member */
    double score; /* of the last one for which they did */
};
/* ZADD and ZINCRBY (event "zincr" with ZSET_INCREMENT, else "zadd"). STORE_NAN: a sum is not a number; STORE_NO_MEMORY;
 * what was added before stays and has been told. */
enum store_result zset_add(struct transaction *tx, struct store_key key,
                           const struct zset_member *members, size_t count, uint32_t flags,
                           struct zset_added *out);

/* False: there was none. */
bool zset_take(struct zset_view *v, struct slice member);
void zset_take_ranks(struct zset_view *v, struct zset_ranks ranks);
/* Tells what the view took as one event; drops the key if nothing is left. */
void zset_commit(struct zset_view *v, const char *event);

/* Aborts if something is wrong. For tests. */
void zset_verify(const struct zset_view *v);
