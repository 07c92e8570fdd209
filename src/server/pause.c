/* pause.c - the end of a pause must reach a client that is just about to wait for it. Both sides write, then read:
 *
 *     the client:  1. sets CLIENT_PAUSED  2. full barrier  3. looks again whether there is a pause
 *     the end:     1. clears `paused`     2. full barrier  3. wakes the clients that are marked
 *
 * One of the two sees the other. A client that is woken for nothing looks at the pause again.
 */
#include "server/pause.h"

#include "server/client_registry.h"
#include "server/command.h"
#include "server/commands/cmd_transaction.h"
#include "server/multi.h"

#include <tuco/go.h>
#include <tuco/mem.h>
#include <tuco/time.h>

enum { DAY_MS = 86400 * 1000 };

struct pause {
    struct server *server;
    tu_timer *timer;
    struct tu__lock lock; /* end_ns, and changes of server->paused */
    int64_t end_ns;
};

static void set_timer(struct pause *p)
{
    int64_t left_ns = p->end_ns - tu_now();
    tu_timer_reset(p->timer, left_ns < DAY_MS * TU_MS ? left_ns : DAY_MS * TU_MS);
}

static bool wake_one(void *context, struct client *c)
{
    if ((client_flags(c) & CLIENT_PAUSED) && c->conn)
        tu_serve_wake(c->conn);
    return true;
}

/* Ends the pause; `only_late`: if its time is over. */
static void finish(struct pause *p, bool only_late)
{
    tu__lock(&p->lock);
    bool over = !only_late || tu_now() >= p->end_ns;
    if (over)
        atomic_store_explicit(&p->server->paused, PAUSE_NONE, memory_order_relaxed);
    else
        set_timer(p);
    tu__unlock(&p->lock);
    if (!over)
        return;
    atomic_thread_fence(memory_order_seq_cst); /* pairs with pause_hold */
    client_registry_each(p->server->clients, wake_one, NULL);
}

static void time_is_over(struct pause *p)
{
    finish(p, true);
}

struct pause *pause_new(struct server *server)
{
    struct pause *p = tu_alloc_zeroed(sizeof *p);
    if (p == NULL)
        return NULL;
    p->server = server;
    p->timer = tu_timer_call(TU_NEVER, time_is_over, p);
    if (p->timer == NULL) {
        tu_free(p);
        return NULL;
    }
    return p;
}

void pause_free(struct pause *p)
{
    if (p == NULL)
        return;
    tu_timer_free(p->timer);
    tu_free(p);
}

void pause_begin(struct pause *p, enum pause_actions actions, int64_t timeout_ms)
{
    _Atomic uint32_t *paused = &p->server->paused;
    int64_t now_ns = tu_now(), end_ns;
    if (__builtin_mul_overflow(timeout_ms, TU_MS, &end_ns) ||
        __builtin_add_overflow(end_ns, now_ns, &end_ns))
        end_ns = INT64_MAX;
    tu__lock(&p->lock);
    uint32_t before = atomic_load_explicit(paused, memory_order_relaxed);
    if (before == PAUSE_NONE || end_ns > p->end_ns)
        p->end_ns = end_ns;
    if (p->end_ns > now_ns) {
        atomic_store_explicit(paused, before | (uint32_t)actions, memory_order_relaxed);
        set_timer(p);
    }
    tu__unlock(&p->lock);
}

void pause_end(struct pause *p)
{
    finish(p, false);
}

int64_t pause_left_ms(struct pause *p)
{
    tu__lock(&p->lock);
    bool paused = atomic_load_explicit(&p->server->paused, memory_order_relaxed) != PAUSE_NONE;
    int64_t left_ns = paused ? p->end_ns - tu_now() : 0;
    tu__unlock(&p->lock);
    return left_ns > 0 ? left_ns / TU_MS : 0;
}

bool pause_stops_slow(const struct client *c, const struct command *row, uint32_t actions)
{
    if (actions == PAUSE_ALL)
        return true;
    uint32_t flags = row->flags;
    if (row->run == transaction_exec && c->multi)
        flags |= c->multi->flags;
    return (flags & (CMD_WRITE | CMD_MAY_REPLICATE)) != 0;
}

bool pause_hold(struct client *c)
{
    client_set_flags(c, CLIENT_PAUSED, 0);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with finish */
    if (atomic_load_explicit(&c->server->paused, memory_order_relaxed) != PAUSE_NONE)
        return true;
    client_set_flags(c, 0, CLIENT_PAUSED);
    return false;
}
