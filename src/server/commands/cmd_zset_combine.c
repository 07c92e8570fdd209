/* cmd_zset_combine.c - union, intersection and difference of sorted sets: told, counted, stored. */
#include "server/commands/cmd_zset.h"

#include "base/number.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/types/zset_combine.h"

#include <tuco/mem.h>

#define ERR_INPUT_KEYS "ERR at least 1 input key is needed for '%s' command"
#define ERR_WEIGHT     "ERR weight value is not a float"
#define ERR_LIMIT_SIGN "ERR LIMIT can't be negative"

enum { FEW = 8 };

struct combination {
    enum zset_operation operation;
    bool is_store, is_count;
    size_t at; /* of numkeys in argv */
    enum zset_aggregate aggregate;
    bool scores;
    int64_t limit;
    size_t count;
    struct zset_input *inputs, few[FEW];
};

/* Opens all keys. False: replied. */
static bool open_inputs(struct call *call, struct combination *c)
{
    int64_t count;
    if (!handler_integer(call, call->argv[c->at], &count))
        return false;
    if (count < 1) {
        reply_errorf(call->reply, ERR_INPUT_KEYS, call->command->full_name);
        return false;
    }
    if ((uint64_t)count > call->argc - c->at - 1) {
        reply_error(call->reply, ERR_SYNTAX);
        return false;
    }
    c->count = (size_t)count;
    if (c->count > FEW && !(c->inputs = tu_alloc(c->count * sizeof *c->inputs))) {
        handler_error(call, STORE_NO_MEMORY);
        return false;
    }
    for (size_t i = 0; i < c->count; i++) {
        struct store_key key = handler_key(call, i + c->is_store, c->at + 1 + i);
        if (zset_input_open(call->tx, key, &c->inputs[i]) == STORE_WRONG_TYPE) {
            handler_error(call, STORE_WRONG_TYPE);
            return false;
        }
    }
    return true;
}

static const char *parse_weights(const struct call *call, size_t at, struct combination *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (!zset_parse_score(call->argv[at + i], &c->inputs[i].weight))
            return ERR_WEIGHT;
    return NULL;
}

static const char *parse_aggregate(struct slice word, struct combination *c)
{
    static const struct slice words[] = {{"sum", 3}, {"min", 3}, {"max", 3}};
    for (int i = 0; i < 3; i++) {
        if (slice_equal_nocase(word, words[i])) {
            c->aggregate = (enum zset_aggregate)i;
            return NULL;
        }
    }
    return ERR_SYNTAX;
}

static const char *parse_limit(struct slice word, struct combination *c)
{
    return number_parse_int64(word, &c->limit) && c->limit >= 0 ? NULL : ERR_LIMIT_SIGN;
}

/* One option at argv[*at], which moves behind it. */
static const char *parse_option(const struct call *call, size_t *at, struct combination *c)
{
    struct slice word = call->argv[(*at)++];
    size_t left = call->argc - *at;
    bool weighs = c->operation != ZSET_DIFF && !c->is_count;
    if (weighs && left >= c->count && slice_equal_nocase(word, SLICE("weights"))) {
        *at += c->count;
        return parse_weights(call, *at - c->count, c);
    }
    if (weighs && left >= 1 && slice_equal_nocase(word, SLICE("aggregate")))
        return parse_aggregate(call->argv[(*at)++], c);
    if (!c->is_store && !c->is_count && slice_equal_nocase(word, SLICE("withscores"))) {
        c->scores = true;
        return NULL;
    }
    if (c->is_count && left >= 1 && slice_equal_nocase(word, SLICE("limit")))
        return parse_limit(call->argv[(*at)++], c);
    return ERR_SYNTAX;
}

static bool parse_options(struct call *call, struct combination *c)
{
    const char *error = NULL;
    for (size_t at = c->at + 1 + c->count; at < call->argc && !error;)
        error = parse_option(call, &at, c);
    if (error)
        reply_error(call->reply, error);
    return error == NULL;
}

static void reply_result(struct call *call, struct combination *c)
{
    struct zset_result *result;
    size_t count = 0;
    static const char *const events[] = {"zunionstore", "zinterstore", "zdiffstore"};
    enum store_result rc =
        zset_combine(call->tx, c->operation, c->aggregate, c->inputs, c->count, &result);
    if (rc == STORE_OK && c->is_store)
        rc = zset_store(call->tx, handler_key(call, 0, 1), result, events[c->operation], false,
                        &count);
    else if (rc == STORE_OK && !zset_result_sort(result))
        rc = STORE_NO_MEMORY;
    if (rc != STORE_OK) {
        handler_error(call, rc);
    } else if (c->is_store) {
        reply_integer(call->reply, (int64_t)count);
    } else {
        zset_reply_head(call, zset_result_count(result), c->scores);
        zset_result_each(result, zset_shown(call, c->scores), call->reply);
    }
    if (!c->is_store)
        zset_result_free(result);
}

static void run(struct call *call, struct combination *c)
{
    c->inputs = c->few;
    c->at = c->is_store ? 2 : 1;
    if (open_inputs(call, c) && parse_options(call, c)) {
        if (c->is_count)
            reply_integer(call->reply,
                          (int64_t)zset_inter_count(c->inputs, c->count, (uint64_t)c->limit));
        else
            reply_result(call, c);
    }
    if (c->inputs != c->few)
        tu_free(c->inputs);
}

static void run_zunion(struct call *call)
{
    run(call, &(struct combination){.operation = ZSET_UNION});
}

static void run_zinter(struct call *call)
{
    run(call, &(struct combination){.operation = ZSET_INTER});
}

static void run_zdiff(struct call *call)
{
    run(call, &(struct combination){.operation = ZSET_DIFF});
}

static void run_zunionstore(struct call *call)
{
    run(call, &(struct combination){.operation = ZSET_UNION, .is_store = true});
}

static void run_zinterstore(struct call *call)
{
    run(call, &(struct combination){.operation = ZSET_INTER, .is_store = true});
}

static void run_zdiffstore(struct call *call)
{
    run(call, &(struct combination){.operation = ZSET_DIFF, .is_store = true});
}

static void run_zintercard(struct call *call)
{
    run(call, &(struct combination){.operation = ZSET_INTER, .is_count = true});
}

/* ---- rows ---- */

#define ZSET_ROW(name, run, words, version, cost) \
    ROW_ON_KEYS(name, run, words, "sorted-set", ACL_SORTEDSET, version, cost)

#define WEIGHTS                                                                               \
    ARG_INTEGER("weight", ARG_OPTIONAL, ARG_MULTIPLE, .token = "WEIGHTS"),                    \
        ARG_ONEOF("aggregate", (ARG_OPTIONAL, .token = "AGGREGATE"), ARG_TOKEN("sum", "SUM"), \
                  ARG_TOKEN("min", "MIN"), ARG_TOKEN("max", "MAX"))

static const struct command rows[] = {
    {ZSET_ROW("ZDIFF", run_zdiff, -3, "6.2.0", "O(L + (N-K)"), .parse = handler_parses_itself,
     .flags = CMD_READONLY | CMD_MOVABLE_KEYS,
     .summary = "Tells the members of the first sorted set that are in none of the others.",
     ROW_KEYS(KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_INTEGER("numkeys"), ARG_KEY("key", 0, ARG_MULTIPLE),
              ARG_TOKEN("withscores", "WITHSCORES", ARG_OPTIONAL))},
    {ZSET_ROW("ZDIFFSTORE", run_zdiffstore, -4, "6.2.0", "O(L + (N-K)"),
     .parse = handler_parses_itself, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
     .summary = "Stores the members of the first sorted set that are in none of the others.",
     ROW_KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE), KEYS_COUNTED(2, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("destination", 0), ARG_INTEGER("numkeys"), ARG_KEY("key", 1, ARG_MULTIPLE))},
    {ZSET_ROW("ZINTER", run_zinter, -3, "6.2.0", "O(N*K)"), .parse = handler_parses_itself,
     .flags = CMD_READONLY | CMD_MOVABLE_KEYS,
     .summary = "Tells the members that are in all of several sorted sets.",
     ROW_KEYS(KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_INTEGER("numkeys"), ARG_KEY("key", 0, ARG_MULTIPLE), WEIGHTS,
              ARG_TOKEN("withscores", "WITHSCORES", ARG_OPTIONAL))},
    {ZSET_ROW("ZINTERCARD", run_zintercard, -3, "7.0.0", "O(N*K)"), .parse = handler_parses_itself,
     .flags = CMD_READONLY | CMD_MOVABLE_KEYS,
     .summary = "Counts the members that are in all of several sorted sets.",
     ROW_KEYS(KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_INTEGER("numkeys"), ARG_KEY("key", 0, ARG_MULTIPLE),
              ARG_INTEGER("limit", ARG_OPTIONAL, .token = "LIMIT"))},
    {ZSET_ROW("ZINTERSTORE", run_zinterstore, -4, "2.0.0", "O(N*K)"),
     .parse = handler_parses_itself, .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
     .summary = "Stores the members that are in all of several sorted sets.",
     ROW_KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE), KEYS_COUNTED(2, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("destination", 0), ARG_INTEGER("numkeys"), ARG_KEY("key", 1, ARG_MULTIPLE),
              WEIGHTS)},
    {ZSET_ROW("ZUNION", run_zunion, -3, "6.2.0", "O(N)"), .parse = handler_parses_itself,
     .flags = CMD_READONLY | CMD_MOVABLE_KEYS,
     .summary = "Tells the members of several sorted sets together.",
     ROW_KEYS(KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_INTEGER("numkeys"), ARG_KEY("key", 0, ARG_MULTIPLE), WEIGHTS,
              ARG_TOKEN("withscores", "WITHSCORES", ARG_OPTIONAL))},
    {ZSET_ROW("ZUNIONSTORE", run_zunionstore, -4, "2.0.0", "O(N)"), .parse = handler_parses_itself,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
     .summary = "Stores the members of several sorted sets together.",
     ROW_KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE), KEYS_COUNTED(2, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("destination", 0), ARG_INTEGER("numkeys"), ARG_KEY("key", 1, ARG_MULTIPLE),
              WEIGHTS)},
};
const struct command_family zset_combine_family = COMMAND_FAMILY(rows);
