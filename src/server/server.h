/* server.h - one running server: what everything hangs on, and its life.
 *
 *     main: configuration -> (fork) -> runtime -> server_init -> server_listen -> server_run
 *
 * There is no global server; commands get it in struct call. Fields are set by server_init and then
 * read by everybody, unless said otherwise.
 */
#pragma once

#include "server/config.h"
#include "server/log.h"
#include "server/stats.h"
#include "server/version.h"

#include <tuco/net.h>
#include <tuco/sync.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct keyspace;        /* store/keyspace.h */
struct client_registry; /* server/client_registry.h */
struct command_log;     /* server/command_log.h */
struct latency;         /* server/latency.h */
struct pause;           /* server/pause.h */
struct listening;       /* server/listening.h */

enum server_state { SERVER_STARTING, SERVER_RUNNING, SERVER_STOPPING };

struct server {
    struct config_store config;
    struct keyspace *keyspace;
    struct client_registry *clients;
    struct stats *stats;
    struct command_log *command_log;
    struct latency *latency;
    struct pause *pause;
    _Atomic uint32_t paused;     /* enum pause_actions; pause.c writes it */
    struct listening *listening; /* open listeners; under admin */
    struct tu_mutex admin; /* one CONFIG SET, REWRITE or SHUTDOWN at a time; first in lock order */
    char run_id[41];       /* 40 random hex digits */
    char replication_id[41];         /* likewise: master_replid */
    char *executable;                /* absolute path; INFO */
    int64_t start_ms;                /* Unix time */
    int64_t start_ns;                /* tu_now() */
    int supervised;                  /* SUPERVISED_...: what was found */
    _Atomic int state;               /* enum server_state */
    _Atomic int64_t maxmemory_bytes; /* copy of the directive, for the check below */
    _Atomic int64_t
        used_bytes; /* tu_mem_stats, refreshed by the cron every 10 ms while maxmemory is set */
    _Atomic int64_t peak_bytes; /* largest used_bytes seen */
    _Atomic uint64_t hits_base, misses_base, expired_base,
        expired_fields_base;       /* keyspace_stats at CONFIG RESETSTAT */
    int64_t startup_bytes;         /* used_bytes before the first key */
    _Atomic bool expire_paused;    /* DEBUG SET-ACTIVE-EXPIRE 0 */
    _Atomic int64_t lru_clock_s;   /* Unix time in seconds; the cron writes it */
    struct tu_wait_group finished; /* done by the first server_shutdown */
};

/* Takes over `config` (a finished draft). Runs on a goroutine. 0 or -errno; what failed was logged. */
int server_init(struct server *server, struct config *config, const char *executable)
    __attribute__((warn_unused_result));
/* Opens all listeners and starts accepting. 0 or -errno, logged: the process should exit 1. May park. */
int server_listen(struct server *server) __attribute__((warn_unused_result));
/* Background work; parks until the server was shut down. The exit status. */
int server_run(struct server *server);

/* Takes server->admin; unlock with tu_mutex_unlock. may_park false: under shard locks; the thread then
 * waits instead of the goroutine. */
void server_admin_lock(struct server *server, bool may_park);

/* Asks for the end; returns at once. The first call counts. Flags: SHUTDOWN_... bits. */
void server_shutdown(struct server *server, int flags);
/* Stops background work and frees what server_init made; for tests. No client may be left. */
void server_free(struct server *server);

/* For commands with CMD_DENYOOM: true if memory is above maxmemory and nothing may be evicted. Two
 * loads while maxmemory is not set. */
static inline bool server_out_of_memory(struct server *server)
{
    int64_t limit = atomic_load_explicit(&server->maxmemory_bytes, memory_order_relaxed);
    return __builtin_expect(limit != 0, 0) &&
           atomic_load_explicit(&server->used_bytes, memory_order_relaxed) > limit;
}
