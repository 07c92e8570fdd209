/* listening.h - the open listening sockets of a server, as `bind`, `port` and `unixsocket` say.
 *
 * Each has a goroutine that accepts. Functions that change them are called with server->admin held,
 * or before the server is shared. They may park.
 */
#pragma once

#include "server/config.h"

struct server;
struct listening;
struct text;

struct listening *listening_new(void); /* NULL: out of memory */

/* Opens what the configuration asks for. 0, or -errno: nothing of it stays open, and the log says
 * which address failed. */
int listening_open_tcp(struct server *server, const struct config *config)
    __attribute__((warn_unused_result));
int listening_open_unix(struct server *server, const struct config *config)
    __attribute__((warn_unused_result));
/* Stops accepting; the unix socket's file stays. */
void listening_close_tcp(struct server *server);
void listening_close_all(struct server *server);

bool listening_has_tcp(const struct server *server);
bool listening_has_unix(const struct server *server);
/* INFO's listener lines: "listener0:name=tcp,bind=127.0.0.1,port=6379". */
void listening_describe(const struct server *server, const struct config *config, struct text *out);
