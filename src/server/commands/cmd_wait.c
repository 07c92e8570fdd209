/* cmd_wait.c - WAIT and WAITAOF: until replicas, or the append-only file, have what this client has written. There are no
 * replicas yet, and no file, so nobody ever has anything: who wants none is answered at once, who wants some waits for as long
 * as it likes. */
#include "server/blocked.h"
#include "server/client.h"
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"

#include "base/number.h"

static void reply_no_replica(struct reply *r)
{
    reply_integer(r, 0);
}

static void reply_nowhere(struct reply *r)
{
    reply_array(r, 2);
    reply_integer(r, 0);
    reply_integer(r, 0);
}

static void run_wait(struct call *call)
{
    int64_t replicas, timeout_ms;
    if (!handler_integer(call, call->argv[1], &replicas) ||
        !handler_timeout_ms(call, call->argv[2], &timeout_ms))
        return;
    if (replicas <= 0)
        reply_no_replica(call->reply);
    else
        blocked_wait(call,
                     &(struct blocked_wish){.timeout_ms = timeout_ms, .nothing = reply_no_replica});
}

static void run_waitaof(struct call *call)
{
    int64_t local, replicas, timeout_ms;
    if (!handler_integer(call, call->argv[1], &local))
        return;
    if (local < 0 || local > 1) {
        reply_error(call->reply, ERR_WAIT_LOCAL);
        return;
    }
    if (!number_parse_int64(call->argv[2], &replicas) || replicas < 0) {
        reply_error(call->reply, ERR_NOT_POSITIVE);
        return;
    }
    if (!handler_timeout_ms(call, call->argv[3], &timeout_ms))
        return;
    if (local > 0)
        reply_error(call->reply, ERR_WAIT_NO_FILE);
    else if (replicas == 0)
        reply_nowhere(call->reply);
    else
        blocked_wait(call,
                     &(struct blocked_wish){.timeout_ms = timeout_ms, .nothing = reply_nowhere});
}

static const struct command rows[] = {
    {.name = "WAIT",
     .run = run_wait,
     .arity = 3,
     .flags = CMD_BLOCKING,
     .acl = ACL_CONNECTION,
     .scope = SCOPE_NONE,
     .group = "generic",
     .since = "3.0.0",
     .complexity = "O(1)",
     .tips = ROW_WORDS("request_policy:all_shards", "response_policy:agg_min"),
     .summary = "Waits until so many replicas have what the connection has written.",
     ROW_ARGS(ARG_INTEGER("numreplicas"), ARG_INTEGER("timeout"))},
    {.name = "WAITAOF",
     .run = run_waitaof,
     .arity = 4,
     .flags = CMD_BLOCKING,
     .acl = ACL_CONNECTION,
     .scope = SCOPE_NONE,
     .group = "generic",
     .since = "7.2.0",
     .complexity = "O(1)",
     .tips = ROW_WORDS("request_policy:all_shards", "response_policy:agg_min"),
     .summary = "Waits until the files of the server and of so many replicas have what the "
                "connection has written.",
     ROW_ARGS(ARG_INTEGER("numlocal"), ARG_INTEGER("numreplicas"), ARG_INTEGER("timeout"))},
};
const struct command_family wait_family = COMMAND_FAMILY(rows);
