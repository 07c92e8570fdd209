/* server_signals.h - signals as work for a goroutine.
 *
 * SIGTERM and SIGINT ask for the end (a second SIGINT exits at once, with status 1); SIGHUP, SIGPIPE
 * and SIGUSR1 are ignored.
 */
#pragma once

struct server;

/* Keeps SIGTERM and SIGINT waiting until server_signals_start. In main, before the runtime starts its
 * threads. */
void server_signals_block(void);
/* Starts the goroutine that reads them. 0 or -errno. Once in a process. */
int server_signals_start(struct server *server) __attribute__((warn_unused_result));
