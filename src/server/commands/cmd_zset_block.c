/* cmd_zset_block.c - sorted sets, waited for: what ZPOPMIN, ZPOPMAX and ZMPOP do at once, and if there is nothing, later
 * (blocked.h). */
#include "server/blocked.h"
#include "server/commands/cmd_zset.h"
#include "server/reply.h"

#include "base/number.h"

enum { BLOCK_MIN = 1, BLOCK_NUMKEYS, BLOCK_COUNT };

static void wait(struct call *call, size_t first, int64_t timeout_ms)
{
    blocked_wait(call, &(struct blocked_wish){.type = TYPE_ZSET,
                                              .first = first,
                                              .count = call->key_count,
                                              .timeout_ms = timeout_ms,
                                              .nothing = reply_null_array});
}

static void pop(struct call *call, bool highest)
{
    struct zset_pop how = {.first = 1, .count = 1, .highest = highest, .flat = true};
    int64_t timeout_ms;
    if (handler_timeout(call, call->argv[call->argc - 1], &timeout_ms) &&
        !zset_reply_pop(call, &how))
        wait(call, 1, timeout_ms);
}

static void run_bzpopmin(struct call *call)
{
    pop(call, false);
}

static void run_bzpopmax(struct call *call)
{
    pop(call, true);
}

static void run_bzmpop(struct call *call)
{
    int64_t count = 1, timeout_ms;
    if (args_has(call->args, BLOCK_COUNT))
        (void)number_parse_int64(call->argv[args_at(call->args, BLOCK_COUNT)], &count);
    struct zset_pop how = {
        .first = 3, .count = (uint64_t)count, .highest = !args_has(call->args, BLOCK_MIN)};
    if (handler_timeout(call, call->argv[1], &timeout_ms) && !zset_reply_pop(call, &how))
        wait(call, 3, timeout_ms);
}

#define POP_ROW(word, fn, text)                                                                 \
    {                                                                                           \
        .name = (word), .run = (fn), .arity = -3, .flags = CMD_WRITE | CMD_BLOCKING | CMD_FAST, \
        .acl = ACL_SORTEDSET, .scope = SCOPE_KEYS, .group = "sorted-set", .since = "5.0.0",     \
        .complexity = "O(log(N))", .summary = (text),                                           \
        .history = ROW_WORDS("6.0.0", "The timeout may have a fraction."),                      \
        ROW_KEYS({.flags = KEY_RW | KEY_ACCESS | KEY_DELETE,                                    \
                  .begin = KEY_BEGIN_INDEX,                                                     \
                  .begin_index = 1,                                                             \
                  .find = KEY_FIND_RANGE,                                                       \
                  .last = -2,                                                                   \
                  .step = 1}),                                                                  \
        ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE), ARG_DOUBLE("timeout")),                       \
    }

static const struct command rows[] = {
    {.name = "BZMPOP",
     .run = run_bzmpop,
     .arity = -5,
     .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS,
     .acl = ACL_SORTEDSET,
     .scope = SCOPE_KEYS,
     .group = "sorted-set",
     .since = "7.0.0",
     .complexity = "O(K)",
     .summary = "Takes the lowest or highest members of the first sorted set that there is, or "
                "waits for one.",
     ROW_KEYS({.flags = KEY_RW | KEY_ACCESS | KEY_DELETE,
               .begin = KEY_BEGIN_INDEX,
               .begin_index = 2,
               .find = KEY_FIND_KEYNUM,
               .keynum_index = 0,
               .first_key = 1,
               .keynum_step = 1}),
     ROW_ARGS(
         ARG_DOUBLE("timeout"),
         ARG_INTEGER("numkeys", .id = BLOCK_NUMKEYS, .check = handler_check_numkeys),
         ARG_KEY("key", 0, ARG_MULTIPLE, .repeats_by = BLOCK_NUMKEYS),
         ARG_ONEOF("where", (), ARG_TOKEN("min", "MIN", .id = BLOCK_MIN), ARG_TOKEN("max", "MAX")),
         ARG_INTEGER("count", ARG_OPTIONAL, .token = "COUNT", .id = BLOCK_COUNT, .once = true,
                     .check = handler_check_pop_count))},
    POP_ROW("BZPOPMAX", run_bzpopmax,
            "Takes the highest member of the first sorted set that there is, or waits for one."),
    POP_ROW("BZPOPMIN", run_bzpopmin,
            "Takes the lowest member of the first sorted set that there is, or waits for one."),
};
const struct command_family zset_block_family = COMMAND_FAMILY(rows);
