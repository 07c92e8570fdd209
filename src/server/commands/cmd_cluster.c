/* cmd_cluster.c - what clients of a cluster say about themselves; there is none here. */
#include "server/client.h"
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"

static void run_asking(struct call *call)
{
    reply_error(call->reply, ERR_NO_CLUSTER);
}

static void run_readonly(struct call *call)
{
    client_set_flags(call->client, CLIENT_READONLY, 0);
    reply_ok(call->reply);
}

static void run_readwrite(struct call *call)
{
    client_set_flags(call->client, 0, CLIENT_READONLY);
    reply_ok(call->reply);
}

#define CLUSTER_ROW(word, handler, row_flags, text)                                       \
    {                                                                                     \
        .name = (word), .run = (handler), .arity = 1, .flags = (row_flags) | CMD_FAST,    \
        .acl = ACL_CONNECTION, .scope = SCOPE_NONE, .group = "cluster", .since = "3.0.0", \
        .complexity = "O(1)", .summary = (text)                                           \
    }

static const struct command rows[] = {
    CLUSTER_ROW("ASKING", run_asking, 0, "Says that another node sent the client here."),
    CLUSTER_ROW("READONLY", run_readonly, CMD_LOADING | CMD_STALE,
                "Says that a replica may answer what only reads."),
    CLUSTER_ROW("READWRITE", run_readwrite, CMD_LOADING | CMD_STALE, "Takes READONLY back."),
};
const struct command_family cluster_family = COMMAND_FAMILY(rows);
