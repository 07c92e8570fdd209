/* connection.h - between a socket and the dispatcher: accepting, reading, replying, closing.
 */
#pragma once

#include <tuco/net.h>

struct server;

/* Accepts from `listener` until it is closed, and drops a reference to it: the body of one goroutine for each
 * listening socket. Turns away clients over maxclients, and strangers in protected mode; when
 * descriptors are used up it says so in the log and waits for some to come back. May park. */
void connection_accept_loop(struct server *server, tu_listener *listener);

/* Takes over a connected socket; false: it was refused, and closed. May park briefly. */
bool connection_accept(struct server *server, tu_conn *conn);
