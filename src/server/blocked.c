/* blocked.c - from a handler that found nothing to the reply that comes later.
 *
 * The command is copied, because the input it lies in goes on. The reply is written by whoever serves, to a mailbox that
 * the client owns: it has its first bytes at hand, so that serving a small element needs no memory. The owner takes it
 * out when it sees SERVED.
 *
 * Time is a timer of the runtime that wakes the connection, no more; the owner looks at the clock. Only the owner starts and
 * stops it, and tu__timer_stop waits for one that fires just now, so it never fires into a client that has gone.
 */
#include "server/blocked.h"

#include "server/client.h"
#include "server/command.h"
#include "server/dispatch.h"
#include "server/multi.h"
#include "server/output.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "store/blocking.h"

#include "base/check.h"
#include "runtime/time/timer.h"

#include <tuco/go.h>
#include <tuco/mem.h>

enum reason { REASON_TIME, REASON_UNBLOCK, REASON_UNBLOCK_ERROR, REASON_GONE };

enum { ROOM_BYTES = 512 };

struct blocked {
    struct blocking_waiter waiter;
    struct client *client;
    struct queued_command *command; /* NULL: it does not wait */
    struct queued_command *sent; /* as the client sent it, if it is run with other words; or NULL */
    void (*nothing)(struct reply *r);
    struct tu__timer timer;
    _Atomic int64_t deadline_ns; /* on the tu_now() clock; INT64_MAX: none */
    bool silent;                 /* CLIENT REPLY: nothing is sent */
    struct reply reply;          /* the mailbox: of the server while CLAIMED, else the owner's */
    int64_t took_ns;             /* the serving run of the handler; the same */
    int64_t looked_ns;           /* the run that found nothing; the owner's */
    size_t request_bytes;        /* of the command as it came */
    char room[ROOM_BYTES];
};

static struct blocked *blocked_of(const struct client *c)
{
    return atomic_load_explicit(&c->blocked, memory_order_acquire);
}

bool blocked_is_waiting(const struct client *c)
{
    const struct blocked *b = blocked_of(c);
    return b && blocking_state(&b->waiter) == BLOCKING_WAITING;
}

bool blocked_has_timeout(const struct client *c)
{
    const struct blocked *b = blocked_of(c);
    return blocked_is_waiting(c) &&
           atomic_load_explicit(&b->deadline_ns, memory_order_relaxed) != INT64_MAX;
}

size_t blocked_memory(const struct client *c)
{
    return blocked_of(c) ? sizeof(struct blocked) : 0;
}

static void wake_client(struct client *c)
{
    if (c->conn)
        tu_serve_wake(c->conn);
}

/* ---- being served ---- */

static void count_error(void *context, struct slice code)
{
    stats_error(context, code);
}

static bool serve(struct blocking_waiter *w, struct transaction *tx)
{
    struct blocked *b = (struct blocked *)((char *)w - offsetof(struct blocked, waiter));
    struct client *c = b->client;
    const struct queued_command *q = b->command;
    struct call call = {.server = c->server,
                        .client = c,
                        .command = q->row,
                        .argv = q->argv,
                        .argc = q->argc,
                        .key_hashes = q->hashes,
                        .key_count = q->hash_count,
                        .tx = tx,
                        .reply = &b->reply,
                        .serving = true};
    bool no_touch = tx->no_touch;
    int64_t begun_ns = tu_now();
    reply_open(&b->reply, b->room, sizeof b->room, (int)client_load(c->protocol));
    b->reply.count_error = count_error;
    b->reply.count_context = c->server->stats;
    tx->no_touch = (client_flags(c) & CLIENT_NO_TOUCH) != 0;
    dispatch_serve(&call);
    tx->no_touch = no_touch;
    b->took_ns = tu_now() - begun_ns;
    return reply_size(&b->reply) > 0;
}

static void wake(struct blocking_waiter *w)
{
    wake_client(((struct blocked *)((char *)w - offsetof(struct blocked, waiter)))->client);
}

static const struct blocking_ops serving = {serve, wake};

/* ---- waiting ---- */

static void fire(struct tu__timer *timer, void *client)
{
    wake_client(client);
}

static void start_timer(struct blocked *b, int64_t timeout_ms)
{
    int64_t when_ns = INT64_MAX;
    if (timeout_ms == 0 || __builtin_mul_overflow(timeout_ms, TU_MS, &when_ns) ||
        __builtin_add_overflow(when_ns, tu_now(), &when_ns))
        when_ns = INT64_MAX;
    atomic_store_explicit(&b->deadline_ns, when_ns, memory_order_relaxed);
    if (when_ns != INT64_MAX && b->client->conn)
        tu__timer_start(&b->timer, when_ns, fire, b->client);
}

/* The client's record, made when it first has to wait. NULL: out of memory. */
static struct blocked *blocked_make(struct client *c)
{
    struct blocked *b = blocked_of(c);
    if (b)
        return b;
    b = tu_alloc_zeroed(sizeof *b);
    if (!b)
        return NULL;
    b->client = c;
    atomic_store_explicit(&c->blocked, b, memory_order_release);
    return b;
}

static void forget_command(struct blocked *b)
{
    tu_free(b->command);
    tu_free(b->sent);
    b->command = b->sent = NULL;
}

void blocked_wait(struct call *call, const struct blocked_wish *wish)
{
    struct client *c = call->client;
    if (call->serving)
        return;
    if (client_flags(c) & CLIENT_IN_EXEC) {
        wish->nothing(call->reply);
        return;
    }
    const struct slice *argv = wish->argv ? wish->argv : call->argv;
    struct blocked *b = blocked_make(c);
    if (b)
        b->command =
            queued_command_copy(call->command, argv, call->argc, call->key_hashes, call->key_count);
    if (b && b->command && wish->argv)
        b->sent = queued_command_copy(call->command, call->argv, call->argc, NULL, 0);
    if (!b || !b->command || (wish->argv && !b->sent)) {
        if (b)
            forget_command(b);
        reply_error(call->reply, ERR_NO_MEMORY);
        return;
    }
    b->looked_ns = 0;
    struct blocking_wish keys = {.type = wish->type,
                                 .on_missing = wish->on_missing,
                                 .pushes = wish->pushes,
                                 .destination = wish->pushes ? call->key_hashes[1] : 0,
                                 .names = call->argv + wish->first,
                                 .hashes = call->key_hashes,
                                 .count = wish->count};
    b->nothing = wish->nothing;
    b->request_bytes = call->request_bytes;
    b->silent = (client_flags(c) & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP)) != 0;
    start_timer(b, wish->timeout_ms);
    client_set_flags(c, CLIENT_BLOCKED, 0);
    if (blocking_enrol(call->tx, &b->waiter, &serving, &keys) == STORE_OK)
        return;
    (void)tu__timer_stop(&b->timer);
    client_set_flags(c, 0, CLIENT_BLOCKED);
    forget_command(b);
    reply_error(call->reply, ERR_NO_MEMORY);
}

void blocked_looked(struct client *c, int64_t took_ns)
{
    blocked_of(c)->looked_ns = took_ns;
}

/* ---- the end ---- */

/* Nobody else knows of the waiter any more. */
static void finish(struct blocked *b)
{
    struct client *c = b->client;
    (void)tu__timer_stop(&b->timer);
    blocking_leave(&b->waiter, c->server->keyspace);
    client_set_flags(c, 0, CLIENT_BLOCKED);
}

/* What it was told in the end, from reply_start on, as one more command that ran. CLIENT UNBLOCK's error counts as a
 * refusal, too. */
static void count(const struct blocked *b, struct reply *reply, size_t reply_start, bool failed,
                  bool refused)
{
    struct client *c = b->client;
    const struct queued_command *q = b->sent ? b->sent : b->command;
    struct call call = {.server = c->server,
                        .client = c,
                        .command = q->row,
                        .argv = q->argv,
                        .argc = q->argc,
                        .reply = reply,
                        .request_bytes = b->request_bytes,
                        .reply_start = reply_start};
    if (refused)
        stats_command_rejected(c->server->stats, command_id(q->row));
    dispatch_note_blocked(&call, b->looked_ns + b->took_ns, failed);
    stats_add(c->server->stats, STAT_COMMANDS, 1);
    client_store(c->commands, client_load(c->commands) + 1);
}

/* The reply of somebody who was served. */
static bool take_mailbox(struct blocked *b, struct reply *reply)
{
    bool failed = reply_had_error(&b->reply);
    if (!b->silent)
        reply_move(reply, &b->reply);
    reply_close(&b->reply);
    return failed;
}

/* The reply of somebody who was not served. True: an error. */
static bool tell_reason(struct blocked *b, uint32_t reason, struct reply *reply)
{
    struct reply_mark before = reply_position(reply);
    bool failed = reason == REASON_UNBLOCK_ERROR;
    if (failed) {
        stats_error(b->client->server->stats, SLICE("UNBLOCKED"));
        reply_raw(reply, SLICE("-" ERR_UNBLOCKED "\r\n"));
    } else {
        b->nothing(reply);
    }
    b->took_ns = 0;
    if (b->silent)
        reply_rewind(reply, before);
    return failed;
}

bool blocked_settle(struct client *c, struct reply *reply)
{
    struct blocked *b = blocked_of(c);
    uint32_t state = blocking_state(&b->waiter);
    if (state == BLOCKING_WAITING &&
        tu_now() >= atomic_load_explicit(&b->deadline_ns, memory_order_relaxed))
        (void)blocking_withdraw(&b->waiter, REASON_TIME);
    state = blocking_state(&b->waiter);
    if (state == BLOCKING_WAITING || state == BLOCKING_CLAIMED)
        return false;
    finish(b);
    size_t start = reply_size(reply);
    bool served = state == BLOCKING_SERVED;
    bool failed =
        served ? take_mailbox(b, reply) : tell_reason(b, state - BLOCKING_WITHDRAWN, reply);
    count(b, reply, start, served && failed, !served && failed);
    forget_command(b);
    return true;
}

void blocked_abandon(struct client *c)
{
    struct blocked *b = blocked_of(c);
    if (!b || !b->command)
        return;
    if (!blocking_withdraw(&b->waiter, REASON_GONE) &&
        blocking_state(&b->waiter) == BLOCKING_SERVED)
        reply_close(&b->reply);
    finish(b);
    forget_command(b);
}

void blocked_free(struct client *c)
{
    struct blocked *b = blocked_of(c);
    if (!b)
        return;
    blocked_abandon(c);
    tu_free(b);
}

bool blocked_unblock(struct client *c, bool error)
{
    struct blocked *b = blocked_of(c);
    if (!b || !blocking_withdraw(&b->waiter, error ? REASON_UNBLOCK_ERROR : REASON_UNBLOCK))
        return false;
    wake_client(c);
    return true;
}
