/* cmd_zset.c - sorted sets: members and their scores, ends, random members, scans. Ranges are in cmd_zset_range.c. */
#include "server/commands/cmd_zset.h"

#include "base/glob.h"
#include "base/number.h"
#include "server/commands/draws.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/long_work.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <tuco/mem.h>

enum { SCAN_MATCH = 1, SCAN_COUNT, SCAN_NOSCORES, POP_NUMKEYS = 1, POP_MIN, POP_COUNT };

#define ERR_SCORE_NAN "ERR resulting score is not a number (NaN)"
#define ERR_XX_NX     "ERR XX and NX options at the same time are not compatible"
#define ERR_GT_LT_NX  "ERR GT, LT, and/or NX options at the same time are not compatible"
#define ERR_INCR_PAIR "ERR INCR option supports a single increment-element pair"
#define ERR_COUNT_BIG "ERR value is out of range"

bool zset_parse_score(struct slice word, double *out)
{
    for (size_t i = 0; i < word.size; i++)
        if ((word.data[i] | 32) == 'x') /* no hexadecimal numbers */
            return false;
    return number_parse_double(word, out);
}

bool zset_open_to_read(struct call *call, size_t nth, size_t word, struct zset_view *v)
{
    if (zset_open(call->tx, handler_key(call, nth, word), LOOKUP_READ, v) != STORE_WRONG_TYPE)
        return true;
    handler_error(call, STORE_WRONG_TYPE);
    return false;
}

static bool open_to_write(struct call *call, struct zset_view *v)
{
    if (zset_open(call->tx, handler_first_key(call), LOOKUP_WRITE, v) != STORE_WRONG_TYPE)
        return true;
    handler_error(call, STORE_WRONG_TYPE);
    return false;
}

static void show_member(void *context, struct slice member, double score)
{
    reply_bulk(context, member);
}

static void show_both(void *context, struct slice member, double score)
{
    reply_bulk(context, member);
    reply_double(context, score);
}

static void show_pair(void *context, struct slice member, double score)
{
    reply_array(context, 2);
    show_both(context, member, score);
}

zset_visit_fn zset_shown(const struct call *call, bool scores)
{
    return !scores ? show_member : reply_protocol(call->reply) > 2 ? show_pair : show_both;
}

void zset_reply_head(struct call *call, size_t count, bool scores)
{
    reply_array(call->reply, scores && reply_protocol(call->reply) == 2 ? 2 * count : count);
}

/* ---- adding ---- */

/* The options of ZADD from argv[2] on: where the first score is, and that scores and members pair up. */
static const char *add_options(const struct call *call, uint32_t *flags, bool *changed,
                               size_t *first)
{
    static const struct {
        struct slice word;
        uint32_t flag;
    } options[] = {{{"nx", 2}, ZSET_NX}, {{"xx", 2}, ZSET_XX}, {{"gt", 2}, ZSET_GT},
                   {{"lt", 2}, ZSET_LT}, {{"ch", 2}, 0},       {{"incr", 4}, ZSET_INCREMENT}};
    size_t at = 2, i;
    *flags = 0;
    *changed = false;
    for (; at < call->argc; at++) {
        for (i = 0; i < 6 && !slice_equal_nocase(call->argv[at], options[i].word); i++)
            ;
        if (i == 6)
            break;
        *flags |= options[i].flag;
        *changed = *changed || options[i].flag == 0;
    }
    *first = at;
    if (at == call->argc || (call->argc - at) % 2 != 0)
        return ERR_SYNTAX;
    if ((*flags & ZSET_NX) && (*flags & ZSET_XX))
        return ERR_XX_NX;
    if (((*flags & ZSET_NX) && (*flags & (ZSET_GT | ZSET_LT))) ||
        ((*flags & ZSET_GT) && (*flags & ZSET_LT)))
        return ERR_GT_LT_NX;
    if ((*flags & ZSET_INCREMENT) && call->argc - at > 2)
        return ERR_INCR_PAIR;
    return NULL;
}

static void reply_added(struct call *call, enum store_result rc, const struct zset_added *added,
                        uint32_t flags, bool changed)
{
    if (rc == STORE_NAN)
        reply_error(call->reply, ERR_SCORE_NAN);
    else if (rc != STORE_OK)
        handler_error(call, rc);
    else if (!(flags & ZSET_INCREMENT))
        reply_integer(call->reply, (int64_t)(added->added + (changed ? added->updated : 0)));
    else if (added->met)
        reply_double(call->reply, added->score);
    else
        reply_null(call->reply);
}

static void add_members(struct call *call, size_t first, uint32_t flags, bool changed)
{
    enum { FEW = 32 };
    struct zset_member few[FEW], *members = few;
    size_t count = (call->argc - first) / 2;
    struct zset_added added;
    if (count > FEW && !(members = tu_alloc(count * sizeof *members))) {
        handler_error(call, STORE_NO_MEMORY);
        return;
    }
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        ok = zset_parse_score(call->argv[first + 2 * i], &members[i].score);
        members[i].member = call->argv[first + 2 * i + 1];
    }
    if (ok)
        reply_added(call,
                    zset_add(call->tx, handler_first_key(call), members, count, flags, &added),
                    &added, flags, changed);
    else
        reply_error(call->reply, ERR_NOT_FLOAT);
    if (members != few)
        tu_free(members);
}

static void run_zadd(struct call *call)
{
    uint32_t flags;
    bool changed;
    size_t first;
    const char *error = add_options(call, &flags, &changed, &first);
    if (error)
        reply_error(call->reply, error);
    else
        add_members(call, first, flags, changed);
}

static void run_zincrby(struct call *call)
{
    add_members(call, 2, ZSET_INCREMENT, false);
}

/* ---- removing ---- */

static void run_zrem(struct call *call)
{
    struct zset_view v;
    if (!open_to_write(call, &v))
        return;
    for (size_t i = 2; i < call->argc; i++)
        zset_take(&v, call->argv[i]);
    reply_integer(call->reply, (int64_t)v.changed);
    zset_commit(&v, "zrem");
}

static struct zset_ranks end_ranks(const struct zset_view *v, uint64_t count, bool highest)
{
    size_t all = zset_count(v), n = count < all ? (size_t)count : all;
    return highest ? (struct zset_ranks){all - n, all} : (struct zset_ranks){0, n};
}

static void pop(struct call *call, bool highest)
{
    struct zset_view v;
    int64_t count = 1;
    bool one = call->argc == 2;
    if (call->argc > 3) {
        reply_error(call->reply, ERR_SYNTAX);
        return;
    }
    if (!one && (!number_parse_int64(call->argv[2], &count) || count < 0)) {
        reply_error(call->reply, ERR_NOT_POSITIVE);
        return;
    }
    if (!open_to_write(call, &v))
        return;
    struct zset_ranks ranks = end_ranks(&v, (uint64_t)count, highest);
    size_t n = zset_ranks_count(ranks);
    bool nested = !one && reply_protocol(call->reply) > 2;
    reply_array(call->reply, nested ? n : 2 * n);
    zset_visit(&v, ranks, highest, nested ? show_pair : show_both, call->reply);
    zset_take_ranks(&v, ranks);
    zset_commit(&v, highest ? "zpopmax" : "zpopmin");
}

static void run_zpopmin(struct call *call)
{
    pop(call, false);
}

static void run_zpopmax(struct call *call)
{
    pop(call, true);
}

bool zset_reply_pop(struct call *call, const struct zset_pop *how)
{
    struct zset_view v;
    for (size_t i = 0; i < call->key_count; i++) {
        struct store_key key = handler_key(call, i, how->first + i);
        enum store_result rc = zset_open(call->tx, key, LOOKUP_WRITE, &v);
        if (rc == STORE_MISSING)
            continue;
        if (rc != STORE_OK) {
            handler_error(call, rc);
            return true;
        }
        struct zset_ranks ranks = end_ranks(&v, how->count, how->highest);
        reply_array(call->reply, how->flat ? 3 : 2);
        reply_bulk(call->reply, key.name);
        if (!how->flat)
            reply_array(call->reply, zset_ranks_count(ranks));
        zset_visit(&v, ranks, how->highest, how->flat ? show_both : show_pair, call->reply);
        zset_take_ranks(&v, ranks);
        zset_commit(&v, how->highest ? "zpopmax" : "zpopmin");
        return true;
    }
    return false;
}

static void run_zmpop(struct call *call)
{
    int64_t count = 1;
    if (args_has(call->args, POP_COUNT))
        (void)number_parse_int64(call->argv[args_at(call->args, POP_COUNT)], &count);
    struct zset_pop how = {
        .first = 2, .count = (uint64_t)count, .highest = !args_has(call->args, POP_MIN)};
    if (!zset_reply_pop(call, &how))
        reply_null_array(call->reply);
}

/* ---- reading ---- */

static void run_zcard(struct call *call)
{
    struct zset_view v;
    if (zset_open_to_read(call, 0, 1, &v))
        reply_integer(call->reply, (int64_t)zset_count(&v));
}

static void reply_score(struct call *call, const struct zset_view *v, struct slice member)
{
    double score;
    if (zset_score(v, member, &score))
        reply_double(call->reply, score);
    else
        reply_null(call->reply);
}

static void run_zscore(struct call *call)
{
    struct zset_view v;
    if (zset_open_to_read(call, 0, 1, &v))
        reply_score(call, &v, call->argv[2]);
}

static void run_zmscore(struct call *call)
{
    struct zset_view v;
    if (!zset_open_to_read(call, 0, 1, &v))
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++)
        reply_score(call, &v, call->argv[i]);
}

static void rank(struct call *call, bool reverse)
{
    struct zset_view v;
    size_t rank;
    double score;
    bool scores = call->argc == 4;
    if (call->argc > 4) {
        reply_errorf(call->reply, ERR_ARITY, call->command->full_name);
        return;
    }
    if (scores && !slice_equal_nocase(call->argv[3], SLICE("withscore"))) {
        reply_error(call->reply, ERR_SYNTAX);
        return;
    }
    if (!zset_open_to_read(call, 0, 1, &v))
        return;
    if (!zset_rank(&v, call->argv[2], &rank, &score)) {
        if (scores)
            reply_null_array(call->reply);
        else
            reply_null(call->reply);
        return;
    }
    if (scores)
        reply_array(call->reply, 2);
    reply_integer(call->reply, (int64_t)(reverse ? zset_count(&v) - 1 - rank : rank));
    if (scores)
        reply_double(call->reply, score);
}

static void run_zrank(struct call *call)
{
    rank(call, false);
}

static void run_zrevrank(struct call *call)
{
    rank(call, true);
}

/* ---- random members ---- */

/* The count and WITHSCORES of ZRANDMEMBER: false, and the error replied, if they are not right. */
static bool random_options(struct call *call, int64_t *count, bool *scores)
{
    if (!handler_integer(call, call->argv[2], count))
        return false;
    *scores = call->argc == 4;
    if (*count == INT64_MIN)
        reply_error(call->reply, ERR_LONG_RANGE);
    else if (call->argc > 4 || (*scores && !slice_equal_nocase(call->argv[3], SLICE("withscores"))))
        reply_error(call->reply, ERR_SYNTAX);
    else if (*scores && (*count < -INT64_MAX / 2 || *count > INT64_MAX / 2))
        reply_error(call->reply, ERR_COUNT_BIG);
    else
        return true;
    return false;
}

struct zset_draws {
    struct draws draws;
    const struct zset_view *view;
    zset_visit_fn visit;
};

static void draw_members(const struct draws *draws, uint64_t n, struct reply *r)
{
    const struct zset_draws *d = (const struct zset_draws *)draws;
    zset_random(d->view, n, true, d->visit, r);
}

struct member_copy {
    zset_visit_fn visit;
    struct draws_copy *to;
};

static void copy_member(void *context, struct slice member, double score)
{
    const struct member_copy *copy = context;
    copy->visit(draws_member(copy->to), member, score);
    draws_member_done(copy->to);
}

static void copy_members(const struct draws *draws, struct draws_copy *to)
{
    const struct zset_draws *d = (const struct zset_draws *)draws;
    zset_visit(d->view, (struct zset_ranks){0, d->draws.count}, false, copy_member,
               &(struct member_copy){d->visit, to});
}

static void run_zrandmember(struct call *call)
{
    struct zset_view v;
    int64_t count = 1;
    bool scores = false, one = call->argc == 2;
    if ((!one && !random_options(call, &count, &scores)) || !zset_open_to_read(call, 0, 1, &v))
        return;
    size_t all = zset_count(&v);
    if (one && all == 0) {
        reply_null(call->reply);
        return;
    }
    uint64_t n = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    if (all == 0 || (count > 0 && n > all))
        n = all;
    if (!long_work_begin(call->tx, n))
        return;
    if (!one)
        zset_reply_head(call, n, scores);
    zset_visit_fn visit = zset_shown(call, scores);
    if (count < 0 && n > 0)
        draws_reply(call, &(struct zset_draws){{all, draw_members, copy_members}, &v, visit}.draws,
                    n);
    else
        zset_random(&v, n, false, visit, call->reply);
}

/* ---- ZSCAN ---- */

struct scan {
    struct reply *reply;
    struct slice pattern;
    bool any, scores, packed;
    size_t count;
};

/* ZSCAN spells the scores of a large set with 17 digits, as the peers do; those of a packed one as everybody else. */
static size_t scan_score(bool packed, double score, char text[NUMBER_DOUBLE_MAX_SIZE])
{
    if (packed || (fabs(score) < 1e16 && score == floor(score)))
        return number_format_double(text, score);
    int size = snprintf(text, NUMBER_DOUBLE_MAX_SIZE, "%.17g", score);
    return size > 0 ? (size_t)size : 0;
}

static void scan_member(void *context, struct slice member, double score)
{
    struct scan *s = context;
    char text[NUMBER_DOUBLE_MAX_SIZE];
    if (!s->any && !glob_match(s->pattern, member, false))
        return;
    reply_bulk(s->reply, member);
    s->count++;
    if (s->scores) {
        reply_bulk(s->reply, (struct slice){text, scan_score(s->packed, score, text)});
        s->count++;
    }
}

static void scan_nobody(void *context, struct slice member, double score) {}

/* The cursor comes before the members: a first pass over the same buckets, which shows nobody, tells it. */
static void scan_zset(struct call *call, const struct zset_view *v, uint64_t cursor)
{
    struct handler_scan options = handler_scan_options(call, SCAN_MATCH, SCAN_COUNT);
    struct scan s = {.reply = call->reply,
                     .pattern = options.pattern,
                     .any = options.any,
                     .scores = !args_has(call->args, SCAN_NOSCORES),
                     .packed = !v->f.entry || v->f.entry->encoding == ENCODING_PACKED};
    reply_array(call->reply, 2);
    uint64_t next = zset_scan(v, cursor, options.count, scan_nobody, NULL);
    char digits[NUMBER_INT64_MAX_SIZE];
    reply_bulk(call->reply, (struct slice){digits, number_format_uint64(digits, next)});
    struct reply_mark mark = reply_deferred_begin(call->reply);
    zset_scan(v, cursor, options.count, scan_member, &s);
    reply_deferred_array(call->reply, mark, s.count);
}

static void run_zscan(struct call *call)
{
    struct zset_view v;
    uint64_t cursor;
    const char *error;
    if (!handler_cursor(call->argv[2], &cursor)) {
        reply_error(call->reply, ERR_CURSOR);
        return;
    }
    if (!zset_open_to_read(call, 0, 1, &v))
        return;
    if (!v.f.entry) {
        reply_array(call->reply, 2);
        reply_bulk_string(call->reply, "0");
        reply_array(call->reply, 0);
    } else if (!args_match(call->command, call->argv, call->argc, call->args, &error)) {
        reply_error(call->reply, error);
    } else {
        scan_zset(call, &v, cursor);
    }
}

/* ---- rows ---- */

static const struct command rows[] = {
    {.name = "ZADD",
     .run = run_zadd,
     .parse = handler_parses_itself,
     .arity = -4,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "1.2.0",
     .complexity = "O(log(N))",
     .summary = "Adds members with their scores, or gives those that are there other scores.",
     .history = ROW_WORDS("2.4.0", "Several members at once.", "3.0.2", "XX, NX, CH and INCR.",
                          "6.2.0", "GT and LT."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_ONEOF("condition", (ARG_OPTIONAL, .since = "3.0.2"), ARG_TOKEN("nx", "NX"),
                        ARG_TOKEN("xx", "XX")),
              ARG_ONEOF("comparison", (ARG_OPTIONAL, .since = "6.2.0"), ARG_TOKEN("gt", "GT"),
                        ARG_TOKEN("lt", "LT")),
              ARG_TOKEN("change", "CH", ARG_OPTIONAL, .since = "3.0.2"),
              ARG_TOKEN("increment", "INCR", ARG_OPTIONAL, .since = "3.0.2"),
              ARG_BLOCK("data", (ARG_MULTIPLE), ARG_DOUBLE("score"), ARG_STRING("member")))},
    {.name = "ZCARD",
     .run = run_zcard,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "1.2.0",
     .complexity = "O(1)",
     .summary = "Counts the members of a sorted set.",
     ROW_KEYS(KEY_AT(1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "ZINCRBY",
     .run = run_zincrby,
     .arity = 4,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "1.2.0",
     .complexity = "O(log(N))",
     .summary = "Adds to the score of a member; a missing one counts as 0.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("increment"), ARG_STRING("member"))},
    {.name = "ZMPOP",
     .run = run_zmpop,
     .arity = -4,
     .flags = CMD_WRITE | CMD_MOVABLE_KEYS,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "7.0.0",
     .complexity = "O(K)",
     .summary = "Takes the lowest or highest members of the first sorted set that there is.",
     ROW_KEYS(KEYS_COUNTED(1, 1, KEY_RW | KEY_ACCESS | KEY_DELETE)),
     ROW_ARGS(
         ARG_INTEGER("numkeys", .id = POP_NUMKEYS, .check = handler_check_numkeys),
         ARG_KEY("key", 0, ARG_MULTIPLE, .repeats_by = POP_NUMKEYS),
         ARG_ONEOF("where", (), ARG_TOKEN("min", "MIN", .id = POP_MIN), ARG_TOKEN("max", "MAX")),
         ARG_INTEGER("count", ARG_OPTIONAL, .token = "COUNT", .id = POP_COUNT, .once = true,
                     .check = handler_check_pop_count))},
    {.name = "ZMSCORE",
     .run = run_zmscore,
     .arity = -3,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "6.2.0",
     .complexity = "O(N)",
     .summary = "Tells the scores of several members, null for those that are not there.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member", ARG_MULTIPLE))},
    {.name = "ZPOPMAX",
     .run = run_zpopmax,
     .parse = handler_parses_itself,
     .arity = -2,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "5.0.0",
     .complexity = "O(log(N)",
     .summary = "Takes the members with the highest scores.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("count", ARG_OPTIONAL))},
    {.name = "ZPOPMIN",
     .run = run_zpopmin,
     .parse = handler_parses_itself,
     .arity = -2,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "5.0.0",
     .complexity = "O(log(N)",
     .summary = "Takes the members with the lowest scores.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("count", ARG_OPTIONAL))},
    {.name = "ZRANDMEMBER",
     .run = run_zrandmember,
     .parse = handler_parses_itself,
     .arity = -2,
     .flags = CMD_READONLY,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "6.2.0",
     .complexity = "O(N)",
     .summary = "Tells random members of a sorted set.",
     .tips = ROW_WORDS("nondeterministic_output"),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_BLOCK("options", (ARG_OPTIONAL), ARG_INTEGER("count"),
                                           ARG_TOKEN("withscores", "WITHSCORES", ARG_OPTIONAL)))},
    {.name = "ZRANK",
     .run = run_zrank,
     .parse = handler_parses_itself,
     .arity = -3,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "2.0.0",
     .complexity = "O(log(N))",
     .summary = "Tells the rank of a member, from the lowest score.",
     .history = ROW_WORDS("7.2.0", "WITHSCORE."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member"),
              ARG_TOKEN("withscore", "WITHSCORE", ARG_OPTIONAL))},
    {.name = "ZREM",
     .run = run_zrem,
     .arity = -3,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "1.2.0",
     .complexity = "O(M*log(N))",
     .summary = "Removes members, and the sorted set with the last of them.",
     .history = ROW_WORDS("2.4.0", "Several members at once."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member", ARG_MULTIPLE))},
    {.name = "ZREVRANK",
     .run = run_zrevrank,
     .parse = handler_parses_itself,
     .arity = -3,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "2.0.0",
     .complexity = "O(log(N))",
     .summary = "Tells the rank of a member, from the highest score.",
     .history = ROW_WORDS("7.2.0", "WITHSCORE."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member"),
              ARG_TOKEN("withscore", "WITHSCORE", ARG_OPTIONAL))},
    {.name = "ZSCAN",
     .run = run_zscan,
     .parse = handler_parses_itself,
     .arity = -3,
     .flags = CMD_READONLY,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "2.8.0",
     .complexity = "O(1)",
     .summary = "Goes through the members of a sorted set in small steps.",
     .tips = ROW_WORDS("nondeterministic_output"),
     .history = ROW_WORDS("8.0.0", "More options."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("cursor"),
              ARG_PATTERN("pattern", ARG_OPTIONAL, .token = "MATCH", .id = SCAN_MATCH),
              ARG_INTEGER("count", ARG_OPTIONAL, .token = "COUNT", .id = SCAN_COUNT,
                          .check = handler_check_scan_count),
              ARG_TOKEN("noscores", "NOSCORES", ARG_OPTIONAL, .id = SCAN_NOSCORES))},
    {.name = "ZSCORE",
     .run = run_zscore,
     .arity = 3,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "1.2.0",
     .complexity = "O(1)",
     .summary = "Tells the score of a member.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member"))},
};
const struct command_family zset_family = COMMAND_FAMILY(rows);
