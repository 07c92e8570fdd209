/* pause.h - CLIENT PAUSE: for a while no command is executed, or none that changes data.
 *
 * A command that must wait is not begun: its client is marked CLIENT_PAUSED, the command goes back into the client's
 * input (connection.c), and its connection is read on as that of a blocked client is, up to the limit of the query buffer.
 * Nobody holds a shard meanwhile. When the pause is over, by CLIENT UNPAUSE or by its timer, all marked clients are woken.
 *
 * What dispatch asks at each command is one load while there is no pause. Functions may be called under shard
 * locks and never park.
 */
#pragma once

#include "server/client.h"
#include "server/server.h"

struct command;

/* server->paused: which commands wait. */
enum pause_actions { PAUSE_NONE, PAUSE_WRITE = 1, PAUSE_ALL = 3 };

struct pause *pause_new(struct server *server); /* NULL: out of memory */
void pause_free(struct pause *pause);

/* Pauses until `timeout_ms` from now; one that lasts longer stays as long, and both their commands wait. */
void pause_begin(struct pause *pause, enum pause_actions actions, int64_t timeout_ms);
/* Ends it and wakes everybody. Harmless without one. */
void pause_end(struct pause *pause);
/* Milliseconds left; 0: none. */
int64_t pause_left_ms(struct pause *pause);

bool pause_stops_slow(const struct client *c, const struct command *row, uint32_t actions);
/* True if the client's command has to wait. The owner of the client. */
static inline bool pause_stops(const struct client *c, const struct command *row)
{
    uint32_t actions = atomic_load_explicit(&c->server->paused, memory_order_relaxed);
    return __builtin_expect(actions != PAUSE_NONE, 0) && pause_stops_slow(c, row, actions);
}
/* Marks the client; false, and it is not marked: the pause is over by now. The owner of the client. */
bool pause_hold(struct client *c);
