/* command_log.h - the commands that took long, were large, or were answered at length: SLOWLOG and
 * COMMANDLOG.
 *
 * Three logs, each a queue of at most so many entries as its directive says; the oldest goes first. An
 * entry is one allocation, never changes, and keeps at most 32 words of 128 bytes, so a log's memory is
 * bounded whatever clients send. What a command costs is compared with three thresholds where its time is
 * taken anyway (dispatch.c); only what exceeds one comes here and takes the lock, for a few stores.
 *
 * Any thread, also under shard locks: never parks. Entries that do not fit in memory are lost.
 */
#pragma once

#include "base/slice.h"
#include "server/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call; /* command.h */

enum command_log_type {
    COMMAND_LOG_SLOW,          /* microseconds */
    COMMAND_LOG_LARGE_REQUEST, /* bytes */
    COMMAND_LOG_LARGE_REPLY,   /* bytes */
    COMMAND_LOG_TYPES
};

enum {
    COMMAND_LOG_WORDS = 32, /* of which the last counts those left out, where there are more */
    COMMAND_LOG_BYTES = 128,
};

struct command_log;

struct command_log *command_log_new(void); /* NULL: out of memory */
void command_log_free(struct command_log *log);

/* What a command cost, by type. */
struct command_cost {
    int64_t of[COMMAND_LOG_TYPES];
};
/* True if a threshold is reached. A negative one, unsigned, is beyond every cost. */
static inline bool command_log_wants(const struct config *config, const struct command_cost *cost)
{
    return (uint64_t)cost->of[COMMAND_LOG_SLOW] >=
               (uint64_t)config->commandlog_execution_slower_than ||
           (uint64_t)cost->of[COMMAND_LOG_LARGE_REQUEST] >=
               (uint64_t)config->commandlog_request_larger_than ||
           (uint64_t)cost->of[COMMAND_LOG_LARGE_REPLY] >=
               (uint64_t)config->commandlog_reply_larger_than;
}
/* Enters the call in each log whose threshold it reaches; `now_s` is Unix time. Words that the command's
 * row calls secret are not kept. */
void command_log_add(struct command_log *log, const struct config *config, const struct call *call,
                     const struct command_cost *cost, int64_t now_s);

/* Forgets what a shortened log has too many of, unless it is off: before its entries are shown. */
void command_log_trim(struct command_log *log, const struct config *config);

/* An entry as it is shown. Read-only. */
struct command_log_entry {
    struct command_log_entry *newer; /* the log's own, under its lock */
    _Atomic uint32_t holders;        /* likewise: the log, and each reader */
    uint32_t argc;
    uint64_t id;    /* counted from 0 in each log */
    int64_t time_s; /* Unix time at the end of the command */
    int64_t cost;   /* of its type */
    struct slice address, name;
    struct slice argv[]; /* argc; their bytes follow */
};

uint64_t command_log_length(struct command_log *log, enum command_log_type type);
void command_log_reset(struct command_log *log, enum command_log_type type);
/* The newest `count` entries at most, newest first: their number. *entries is a block to give to
 * command_log_release, or NULL when there are none or no memory. */
size_t command_log_newest(struct command_log *log, enum command_log_type type, uint64_t count,
                          struct command_log_entry ***entries);
void command_log_release(struct command_log_entry **entries, size_t count);
