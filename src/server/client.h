/* client.h - one connected client, in a few hundred bytes.
 *
 * Owner: the goroutine that runs the client's handler, which never runs twice at once. Others (CLIENT
 * LIST, CLIENT KILL, the cron) find clients through the registry and may read what is marked
 * "shared": atomics, written by the owner with plain stores, and the strings, under the registry's
 * lock. All that an idle client owns is this struct, its tu_conn and its names.
 */
#pragma once

#include "platform/endpoint.h"
#include "server/config.h"
#include "server/output.h"
#include "server/resp_parse.h"
#include "store/watch.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <tuco/net.h>

struct server;
struct command;
struct multi_state; /* multi.h */
struct blocked;     /* blocked.h */
struct text;        /* text.h */

enum client_flag {
    CLIENT_AUTHENTICATED = 1 << 0,
    CLIENT_CLOSE_AFTER_REPLY = 1 << 1, /* nothing more is executed; closed when all is sent */
    CLIENT_CLOSE_NOW = 1 << 2,         /* closed without sending what is pending */
    CLIENT_MULTI = 1 << 3,             /* between MULTI and EXEC */
    CLIENT_DIRTY_EXEC = 1 << 4,        /* an error while queueing: EXEC will refuse */
    CLIENT_NO_EVICT = 1 << 5,
    CLIENT_PAUSED = 1 << 15,        /* its next command waits for the end of a pause: pause.h */
    CLIENT_IMPORT_SOURCE = 1 << 14, /* while import-mode is on it sees keys that are over */
    CLIENT_NO_TOUCH = 1 << 6,
    CLIENT_REPLY_OFF = 1 << 7,
    CLIENT_REPLY_SKIP = 1 << 8,      /* the reply of the command that runs is dropped */
    CLIENT_REPLY_SKIP_NEXT = 1 << 9, /* CLIENT REPLY SKIP was run: the next one's */
    CLIENT_UNIX = 1 << 10,           /* came by the unix socket */
    CLIENT_CAPA_REDIRECT = 1 << 11,
    CLIENT_IN_EXEC = 1 << 12,  /* EXEC runs its commands */
    CLIENT_BLOCKED = 1 << 13,  /* nothing more is executed until blocked_settle says so */
    CLIENT_READONLY = 1 << 16, /* READONLY: content with what a replica has */
};

/* Input that does not make a whole command yet; exists only then. */
struct client_input {
    struct resp_parser parser; /* detached: it owns its argv */
    char *bytes;               /* from the start of the command in progress */
    size_t size, capacity;
};

struct client {
    struct client *next, *previous; /* in the registry, oldest first; under its lock */
    struct server *server;
    tu_conn *conn; /* NULL in tests of handlers; closed only after the registry forgot us */
    uint64_t id;
    int64_t created_ms; /* Unix time */
    struct endpoint peer, local;
    _Atomic bool killed; /* set by anybody, under the registry's lock, before a wake */

    /* the owner's alone */
    struct config_pin pin;
    struct client_input *input;
    struct output output;
    struct multi_state *multi; /* NULL: nothing is queued */
    struct watcher watcher;
    int64_t soft_limit_since_ms; /* when output first exceeded the soft limit; 0: it does not */

    /* shared: written by the owner */
    _Atomic uint32_t flags; /* enum client_flag */
    _Atomic uint32_t db;
    _Atomic uint32_t protocol; /* 2 or 3 */
    _Atomic uint32_t watched, output_blocks;
    _Atomic int32_t queued;                  /* commands in MULTI; -1: not in one */
    _Atomic(const struct command *) command; /* last one */
    _Atomic int64_t last_ms;                 /* last interaction, Unix time */
    _Atomic uint64_t net_input, net_output;  /* bytes */
    _Atomic uint64_t commands;
    _Atomic uint64_t input_bytes, output_bytes; /* memory of input and output */
    _Atomic uint64_t multi_bytes;

    _Atomic(struct blocked *) blocked; /* NULL: it has never been; kept until the client goes */

    /* shared: written by the owner under the registry's lock; NULL: none */
    char *name, *library, *library_version;
};

static inline uint32_t client_flags(const struct client *c)
{
    return atomic_load_explicit(&c->flags, memory_order_relaxed);
}
/* The owner only: a load and a store, no locked instruction. */
static inline void client_set_flags(struct client *c, uint32_t set, uint32_t clear)
{
    atomic_store_explicit(&c->flags, (client_flags(c) & ~clear) | set, memory_order_relaxed);
}
static inline uint32_t client_db(const struct client *c)
{
    return atomic_load_explicit(&c->db, memory_order_relaxed);
}
#define client_store(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)
#define client_load(field)         atomic_load_explicit(&(field), memory_order_relaxed)

/* Makes a client; not yet registered. conn may be NULL (tests). NULL: out of memory. */
struct client *client_new(struct server *server, tu_conn *conn, int64_t now_ms);
/* Frees what it owns; it is not registered and its conn is gone, or was NULL. May park (WATCH). */
void client_free(struct client *c);

/* Copies what the owner alone knows to the shared fields: after each run of the handler. */
void client_publish(struct client *c, int64_t now_ms);
/* True if this client must authenticate before anything else. */
bool client_needs_auth(const struct client *c, const struct config *config);
/* Back to the state after connecting (RESET). May park. */
void client_reset(struct client *c);

/* Which of the three strings. */
enum client_string { CLIENT_NAME, CLIENT_LIBRARY, CLIENT_LIBRARY_VERSION };
/* NULL or an empty text removes it. False: out of memory. Takes the registry's lock. */
bool client_set_string(struct client *c, enum client_string which, struct slice text)
    __attribute__((warn_unused_result));
/* Redis's rule for names: printable ASCII without blanks. */
bool client_name_ok(struct slice text);

/* The line of CLIENT LIST, without line end. Caller holds the registry's lock, or owns c. `redact`:
 * for the log, when hide-user-data-from-log says so. */
void client_describe(const struct client *c, int64_t now_ms, bool redact, struct text *out);
/* The letters of flags=, null-terminated. */
void client_flag_letters(const struct client *c, char out[16]);
/* addr= and laddr= as they are printed. */
void client_address(const struct client *c, bool local, struct text *out);
/* Bytes of user memory: tot-mem. */
size_t client_memory(const struct client *c);
