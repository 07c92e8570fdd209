/* cmd_throttle.c - CL.THROTTLE, the rate limit that the module redis-cell is known for. */
#include "server/commands/handler.h"

#include "base/number.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/types/throttle.h"

/* A word that must be a number of at least `least`. */
static bool number_from(const struct call *call, size_t at, int64_t least, int64_t *out)
{
    if (!handler_integer(call, call->argv[at], out))
        return false;
    if (*out < least)
        reply_error(call->reply, ERR_NOT_POSITIVE);
    return *out >= least;
}

/* Whole seconds; part of one counts as one, so that who waits as long does not come too early. */
static int64_t seconds(int64_t ns)
{
    return ns < 0 ? -1 : ns / 1000000000 + (ns % 1000000000 > 0);
}

static void run_throttle(struct call *call)
{
    struct throttle_rate rate = {.quantity = 1};
    struct throttle_verdict v;
    if (!number_from(call, 2, 0, &rate.burst) || !number_from(call, 3, 1, &rate.count) ||
        !number_from(call, 4, 1, &rate.period_s) ||
        (call->argc > 5 && !number_from(call, 5, 0, &rate.quantity)))
        return;
    enum store_result result = throttle_take(call->tx, handler_first_key(call), &rate, &v);
    if (result != STORE_OK) {
        if (result == STORE_OUT_OF_RANGE)
            result = STORE_NOT_INTEGER; /* "... or out of range" */
        handler_error(call, result);
        return;
    }
    reply_array(call->reply, 5);
    reply_integer(call->reply, v.limited);
    reply_integer(call->reply, v.limit);
    reply_integer(call->reply, v.remaining);
    reply_integer(call->reply, seconds(v.retry_ns));
    reply_integer(call->reply, seconds(v.reset_ns));
}

static const struct command rows[] = {
    {.name = "CL.THROTTLE",
     .run = run_throttle,
     .arity = -5,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Takes tokens of a bucket that fills at a rate, or says how long to wait for them.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("max-burst"), ARG_INTEGER("count"),
              ARG_INTEGER("period"), ARG_INTEGER("quantity", ARG_OPTIONAL))},
};
const struct command_family throttle_family = COMMAND_FAMILY(rows);
