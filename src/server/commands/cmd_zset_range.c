/* cmd_zset_range.c - ranges of sorted sets by rank, score and name: told, counted, removed, stored.
 *
 * One shape for all: the options, then the range, then the key, in the order in which Redis complains about them; what the
 * range is of is decided once, as ranks (zset.h).
 */
#include "server/commands/cmd_zset.h"

#include "base/number.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/long_work.h"
#include "store/types/zset_combine.h"

#include <math.h>
#include <stdlib.h>
#include <tuco/mem.h>

#define ERR_LEX_RANGE "ERR min or max not valid string range item"
#define ERR_LIMIT_RANK \
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
#define ERR_SCORES_LEX "ERR syntax error, WITHSCORES not supported in combination with BYLEX"

enum range_by { BY_ANY, BY_RANK, BY_SCORE, BY_LEX };

struct range {
    enum range_by by; /* BY_ANY: the options may say */
    bool direction_said, reverse, scores, is_store;
    int64_t offset, limit; /* limit below 0: none */
    int64_t start, stop;
    struct zset_score_range score;
    struct zset_lex_range lex;
};

/* ---- reading a range ---- */

/* A number; what is too large for a double is infinite, what is too small 0. */
static bool parse_limit(struct slice word, double *out)
{
    char few[512], *text = few, *end;
    if (zset_parse_score(word, out))
        return true;
    bool is_number = word.size > 0;
    for (size_t i = 0; is_number && i < word.size; i++)
        is_number = word.data[i] > ' ' && (word.data[i] | 32) != 'x';
    if (!is_number || (word.size >= sizeof few && (text = tu_alloc(word.size + 1)) == NULL))
        return false;
    memcpy(text, word.data, word.size);
    text[word.size] = 0;
    *out = strtod(text, &end);
    is_number = end == text + word.size && !isnan(*out);
    if (text != few)
        tu_free(text);
    return is_number;
}

/* Up to a NUL. Excluded if it begins with '('. Nothing is 0. */
static bool parse_score_end(struct slice word, double *out, bool *excluded)
{
    const char *nul = word.size > 0 ? memchr(word.data, 0, word.size) : NULL;
    if (nul)
        word.size = (size_t)(nul - word.data);
    *excluded = word.size > 0 && word.data[0] == '(';
    if (*excluded)
        word = (struct slice){word.data + 1, word.size - 1};
    *out = 0;
    return word.size == 0 || parse_limit(word, out);
}

static bool parse_lex_end(struct slice word, struct zset_lex_end *out)
{
    char c = word.size > 0 ? word.data[0] : 0;
    *out = (struct zset_lex_end){.kind = LEX_MEMBER};
    if (c == '+' || c == '-') {
        out->kind = c == '+' ? LEX_GREATEST : LEX_LEAST;
        return word.size == 1;
    }
    out->excluded = c == '(';
    out->member = (struct slice){word.data + 1, word.size ? word.size - 1 : 0};
    return c == '(' || c == '[';
}

/* Reads the ends at argv[at] and behind it. False: replied. */
static bool parse_ends(struct call *call, size_t at, struct range *r)
{
    struct slice a = call->argv[at], b = call->argv[at + 1];
    if (r->by == BY_RANK)
        return handler_integer(call, a, &r->start) && handler_integer(call, b, &r->stop);
    struct slice min = r->reverse ? b : a, max = r->reverse ? a : b;
    const char *error = NULL;
    if (r->by == BY_SCORE) {
        if (!parse_score_end(min, &r->score.min, &r->score.min_excluded) ||
            !parse_score_end(max, &r->score.max, &r->score.max_excluded))
            error = ERR_MIN_MAX;
    } else if (!parse_lex_end(min, &r->lex.min) || !parse_lex_end(max, &r->lex.max)) {
        error = ERR_LEX_RANGE;
    }
    if (error)
        reply_error(call->reply, error);
    return error == NULL;
}

/* The options behind the ends. False: replied. */
static bool parse_options(struct call *call, size_t at, struct range *r)
{
    for (; at < call->argc; at++) {
        struct slice word = call->argv[at];
        if (!r->is_store && slice_equal_nocase(word, SLICE("withscores"))) {
            r->scores = true;
        } else if (slice_equal_nocase(word, SLICE("limit")) && call->argc - at > 2) {
            if (!handler_integer(call, call->argv[at + 1], &r->offset) ||
                !handler_integer(call, call->argv[at + 2], &r->limit))
                return false;
            at += 2;
        } else if (!r->direction_said && slice_equal_nocase(word, SLICE("rev"))) {
            r->direction_said = r->reverse = true;
        } else if (r->by == BY_ANY && slice_equal_nocase(word, SLICE("bylex"))) {
            r->by = BY_LEX;
        } else if (r->by == BY_ANY && slice_equal_nocase(word, SLICE("byscore"))) {
            r->by = BY_SCORE;
        } else {
            reply_error(call->reply, ERR_SYNTAX);
            return false;
        }
    }
    if (r->by == BY_ANY)
        r->by = BY_RANK;
    bool bad_limit = r->by == BY_RANK && r->limit != -1, bad_scores = r->by == BY_LEX && r->scores;
    if (bad_limit || bad_scores)
        reply_error(call->reply, bad_limit ? ERR_LIMIT_RANK : ERR_SCORES_LEX);
    return !bad_limit && !bad_scores;
}

/* ---- finding it ---- */

/* Leaves out `offset` members at the side where showing begins, and keeps at most `limit`. A negative offset means so many
 * members at the other side, but for a packed set nothing at all: the peers' accident, kept. */
static struct zset_ranks limit(const struct zset_view *v, struct zset_ranks ranks,
                               const struct range *r)
{
    size_t count = zset_ranks_count(ranks);
    uint64_t skipped = (uint64_t)r->offset;
    if (r->offset < 0 && count > 0 && v->f.entry->encoding == ENCODING_TREE)
        skipped += count; /* wraps around, to a large number if there are fewer */
    if (skipped >= count)
        return (struct zset_ranks){0, 0};
    count -= (size_t)skipped;
    if (r->limit >= 0 && (uint64_t)r->limit < count)
        count = (size_t)r->limit;
    size_t first = r->reverse ? ranks.end - (size_t)skipped - count : ranks.first + (size_t)skipped;
    return (struct zset_ranks){first, first + count};
}

static struct zset_ranks find(const struct zset_view *v, const struct range *r)
{
    if (r->by == BY_RANK)
        return zset_ranks_by_index(v, r->start, r->stop, r->reverse);
    return limit(v,
                 r->by == BY_SCORE ? zset_ranks_by_score(v, &r->score)
                                   : zset_ranks_by_lex(v, &r->lex, r->reverse),
                 r);
}

/* ---- telling ---- */

static void tell(struct call *call, struct range r)
{
    struct zset_view v;
    r.limit = -1;
    if (!parse_options(call, 4, &r) || !parse_ends(call, 2, &r) ||
        !zset_open_to_read(call, 0, 1, &v))
        return;
    struct zset_ranks ranks = find(&v, &r);
    if (!long_work_begin(call->tx, zset_ranks_count(ranks)))
        return;
    zset_reply_head(call, zset_ranks_count(ranks), r.scores);
    zset_visit(&v, ranks, r.reverse, zset_shown(call, r.scores), call->reply);
}

static void run_zrange(struct call *call)
{
    tell(call, (struct range){.by = BY_ANY});
}

static void run_zrevrange(struct call *call)
{
    tell(call, (struct range){.by = BY_RANK, .direction_said = true, .reverse = true});
}

static void run_zrangebyscore(struct call *call)
{
    tell(call, (struct range){.by = BY_SCORE, .direction_said = true});
}

static void run_zrevrangebyscore(struct call *call)
{
    tell(call, (struct range){.by = BY_SCORE, .direction_said = true, .reverse = true});
}

static void run_zrangebylex(struct call *call)
{
    tell(call, (struct range){.by = BY_LEX, .direction_said = true});
}

static void run_zrevrangebylex(struct call *call)
{
    tell(call, (struct range){.by = BY_LEX, .direction_said = true, .reverse = true});
}

static void run_zrangestore(struct call *call)
{
    struct range r = {.by = BY_ANY, .is_store = true, .limit = -1};
    struct zset_view v;
    size_t count;
    if (!parse_options(call, 5, &r) || !parse_ends(call, 3, &r) ||
        !zset_open_to_read(call, 1, 2, &v))
        return;
    enum store_result rc =
        zset_store_range(call->tx, handler_key(call, 0, 1), &v, find(&v, &r), r.reverse, &count);
    if (rc == STORE_OK)
        reply_integer(call->reply, (int64_t)count);
    else
        handler_error(call, rc);
}

/* ---- counting and removing ---- */

static void count(struct call *call, enum range_by by)
{
    struct range r = {.by = by, .limit = -1};
    struct zset_view v;
    if (parse_ends(call, 2, &r) && zset_open_to_read(call, 0, 1, &v))
        reply_integer(call->reply, (int64_t)zset_ranks_count(find(&v, &r)));
}

static void run_zcount(struct call *call)
{
    count(call, BY_SCORE);
}

static void run_zlexcount(struct call *call)
{
    count(call, BY_LEX);
}

static void remove_range(struct call *call, enum range_by by, const char *event)
{
    struct range r = {.by = by, .limit = -1};
    struct zset_view v;
    if (!parse_ends(call, 2, &r))
        return;
    if (zset_open(call->tx, handler_first_key(call), LOOKUP_WRITE, &v) == STORE_WRONG_TYPE) {
        handler_error(call, STORE_WRONG_TYPE);
        return;
    }
    zset_take_ranks(&v, find(&v, &r));
    reply_integer(call->reply, (int64_t)v.changed);
    zset_commit(&v, event);
}

static void run_zremrangebyrank(struct call *call)
{
    remove_range(call, BY_RANK, "zremrangebyrank");
}

static void run_zremrangebyscore(struct call *call)
{
    remove_range(call, BY_SCORE, "zremrangebyscore");
}

static void run_zremrangebylex(struct call *call)
{
    remove_range(call, BY_LEX, "zremrangebylex");
}

/* ---- rows ---- */

static const struct command rows[] = {
    {.name = "ZCOUNT",
     .run = run_zcount,
     .arity = 4,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "2.0.0",
     .complexity = "O(log(N))",
     .summary = "Counts the members with scores in a range.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_DOUBLE("min"), ARG_DOUBLE("max"))},
    {.name = "ZLEXCOUNT",
     .run = run_zlexcount,
     .arity = 4,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "2.8.9",
     .complexity = "O(log(N))",
     .summary = "Counts the members between two names.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("min"), ARG_STRING("max"))},
    {.name = "ZRANGE",
     .run = run_zrange,
     .parse = handler_parses_itself,
     .arity = -4,
     .flags = CMD_READONLY,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "1.2.0",
     .complexity = "O(log(N)",
     .summary = "Tells the members in a range of ranks, scores or names.",
     .history = ROW_WORDS("6.2.0", "BYSCORE, BYLEX, REV and LIMIT."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("start"), ARG_STRING("stop"),
              ARG_ONEOF("sortby", (ARG_OPTIONAL, .since = "6.2.0"), ARG_TOKEN("byscore", "BYSCORE"),
                        ARG_TOKEN("bylex", "BYLEX")),
              ARG_TOKEN("rev", "REV", ARG_OPTIONAL, .since = "6.2.0"),
              ARG_BLOCK("limit", (ARG_OPTIONAL, .token = "LIMIT", .since = "6.2.0"),
                        ARG_INTEGER("offset"), ARG_INTEGER("count")),
              ARG_TOKEN("withscores", "WITHSCORES", ARG_OPTIONAL))},
    {.name = "ZRANGEBYLEX",
     .run = run_zrangebylex,
     .parse = handler_parses_itself,
     .arity = -4,
     .flags = CMD_READONLY,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "2.8.9",
     .complexity = "O(log(N)",
     .summary = "Tells the members between two names.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("min"), ARG_STRING("max"),
              ARG_BLOCK("limit", (ARG_OPTIONAL, .token = "LIMIT"), ARG_INTEGER("offset"),
                        ARG_INTEGER("count")))},
    {.name = "ZRANGEBYSCORE",
     .run = run_zrangebyscore,
     .parse = handler_parses_itself,
     .arity = -4,
     .flags = CMD_READONLY,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "1.0.5",
     .complexity = "O(log(N)",
     .summary = "Tells the members with scores in a range.",
     .history = ROW_WORDS("2.0.0", "WITHSCORES."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_DOUBLE("min"), ARG_DOUBLE("max"),
              ARG_TOKEN("withscores", "WITHSCORES", ARG_OPTIONAL, .since = "2.0.0"),
              ARG_BLOCK("limit", (ARG_OPTIONAL, .token = "LIMIT"), ARG_INTEGER("offset"),
                        ARG_INTEGER("count")))},
    {.name = "ZRANGESTORE",
     .run = run_zrangestore,
     .parse = handler_parses_itself,
     .arity = -5,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "6.2.0",
     .complexity = "O(log(N)",
     .summary = "Stores a range of one sorted set in another key.",
     ROW_KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE), KEY_AT(2, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("dst", 0), ARG_KEY("src", 1), ARG_STRING("min"), ARG_STRING("max"),
              ARG_ONEOF("sortby", (ARG_OPTIONAL), ARG_TOKEN("byscore", "BYSCORE"),
                        ARG_TOKEN("bylex", "BYLEX")),
              ARG_TOKEN("rev", "REV", ARG_OPTIONAL),
              ARG_BLOCK("limit", (ARG_OPTIONAL, .token = "LIMIT"), ARG_INTEGER("offset"),
                        ARG_INTEGER("count")))},
    {.name = "ZREMRANGEBYLEX",
     .run = run_zremrangebylex,
     .arity = 4,
     .flags = CMD_WRITE,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "2.8.9",
     .complexity = "O(log(N)",
     .summary = "Removes the members between two names.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("min"), ARG_STRING("max"))},
    {.name = "ZREMRANGEBYRANK",
     .run = run_zremrangebyrank,
     .arity = 4,
     .flags = CMD_WRITE,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "2.0.0",
     .complexity = "O(log(N)",
     .summary = "Removes the members in a range of ranks.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("start"), ARG_INTEGER("stop"))},
    {.name = "ZREMRANGEBYSCORE",
     .run = run_zremrangebyscore,
     .arity = 4,
     .flags = CMD_WRITE,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "1.2.0",
     .complexity = "O(log(N)",
     .summary = "Removes the members with scores in a range.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_DOUBLE("min"), ARG_DOUBLE("max"))},
    {.name = "ZREVRANGE",
     .run = run_zrevrange,
     .parse = handler_parses_itself,
     .arity = -4,
     .flags = CMD_READONLY,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "1.2.0",
     .complexity = "O(log(N)",
     .summary = "Tells the members in a range of ranks, from the highest score.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("start"), ARG_INTEGER("stop"),
              ARG_TOKEN("withscores", "WITHSCORES", ARG_OPTIONAL))},
    {.name = "ZREVRANGEBYLEX",
     .run = run_zrevrangebylex,
     .parse = handler_parses_itself,
     .arity = -4,
     .flags = CMD_READONLY,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "2.8.9",
     .complexity = "O(log(N)",
     .summary = "Tells the members between two names, from the last.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("max"), ARG_STRING("min"),
              ARG_BLOCK("limit", (ARG_OPTIONAL, .token = "LIMIT"), ARG_INTEGER("offset"),
                        ARG_INTEGER("count")))},
    {.name = "ZREVRANGEBYSCORE",
     .run = run_zrevrangebyscore,
     .parse = handler_parses_itself,
     .arity = -4,
     .flags = CMD_READONLY,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "2.2.0",
     .complexity = "O(log(N)",
     .summary = "Tells the members with scores in a range, from the highest.",
     .history = ROW_WORDS("2.1.6", "Limits may be excluded."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_DOUBLE("max"), ARG_DOUBLE("min"),
              ARG_TOKEN("withscores", "WITHSCORES", ARG_OPTIONAL),
              ARG_BLOCK("limit", (ARG_OPTIONAL, .token = "LIMIT"), ARG_INTEGER("offset"),
                        ARG_INTEGER("count")))},
};
const struct command_family zset_range_family = COMMAND_FAMILY(rows);
