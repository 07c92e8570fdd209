/* server_signals.h - signals as work for a goroutine.
 *
 * SIGTERM and SIGINT ask for the end (a second SIGINT exits at once, with status 1); SIGHUP, SIGPIPE and
 * SIGUSR1 are ignored. The handler writes one byte to a pipe; a goroutine reads it.
 */
#pragma once

struct server;

/* Installs the handlers and starts the goroutine. 0 or -errno. Once in a process. */
int server_signals_start(struct server *server) __attribute__((warn_unused_result));
