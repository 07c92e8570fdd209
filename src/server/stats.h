/* stats.h - what the server counts.
 *
 * Every thread adds to a slot of its own: plain loads and stores, no locked instruction, no shared
 * cache line. Reading sums the slots. A slot is found through a call, never cached: a goroutine may be
 * on another thread after anything that may park. CONFIG RESETSTAT raises a generation; a slot of an
 * older one counts as empty, and its owner clears it when it next adds. Nothing here parks.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stats_counter {
    STAT_COMMANDS,          /* total_commands_processed */
    STAT_CONNECTIONS,       /* total_connections_received */
    STAT_REJECTED,          /* rejected_connections: maxclients, protected mode */
    STAT_NET_INPUT,         /* bytes read from clients */
    STAT_NET_OUTPUT,        /* bytes written to clients */
    STAT_READS,             /* reads that brought something */
    STAT_WRITES,            /* writes to sockets */
    STAT_ERROR_REPLIES,     /* total_error_replies; stats_error adds to it */
    STAT_UNEXPECTED_ERRORS, /* unexpected_error_replies */
    STAT_QUERY_LIMIT,       /* clients closed for client-query-buffer-limit */
    STAT_REPLIES_IN_PARTS,  /* made as the client takes them: reply_from */
    STAT_OUTPUT_LIMIT,      /* clients closed for client-output-buffer-limit */
    STAT_AUTH_DENIED,       /* acl_access_denied_auth */
    STAT_BATCHES,           /* look-ahead prefetches */
    STAT_BATCH_COMMANDS,    /* commands in them */
    STAT_COUNT
};

struct stats;

struct stats *stats_create(unsigned commands); /* ids are 0 .. commands-1; NULL: out of memory */
void stats_free(struct stats *stats);

void stats_add(struct stats *stats, enum stats_counter what, uint64_t n);
/* A command ran for duration_ns. Counts calls, time, and failure; with `histogram` (latency-tracking)
 * also the latency. STAT_COMMANDS is not touched: add it once per batch. */
void stats_command(struct stats *stats, unsigned command_id, int64_t duration_ns, bool failed,
                   bool histogram);
/* It was refused before it ran (arity, NOAUTH, OOM ...). */
void stats_command_rejected(struct stats *stats, unsigned command_id);
/* An error reply was sent: `text` without the '-'; its first word is counted in errorstats. */
void stats_error(struct stats *stats, struct slice text);

/* ---- reading: INFO, LATENCY ---- */
uint64_t stats_get(struct stats *stats, enum stats_counter what);
struct command_stats {
    uint64_t calls, duration_ns, rejected, failed;
};
void stats_command_get(struct stats *stats, unsigned command_id, struct command_stats *out);
/* Latencies at `count` percentiles (0 .. 100), ascending, in nanoseconds. False: nothing recorded. */
bool stats_command_percentiles(struct stats *stats, unsigned command_id, const double *percentiles,
                               size_t count, uint64_t *out_ns);
/* LATENCY HISTOGRAM: how many of the calls took at most `limits_ns[i]`. Returns the total. */
uint64_t stats_command_distribution(struct stats *stats, unsigned command_id,
                                    const uint64_t *limits_ns, size_t count, uint64_t *out);
/* Error prefixes in the order in which they were first seen: calls each(). At most 128 are kept. */
#define STATS_ERRORS_MAX 128
void stats_errors(struct stats *stats,
                  void (*each)(void *context, struct slice prefix, uint64_t count), void *context);
bool stats_errors_overflow(
    const struct stats *stats); /* the table was full: it counts no new ones */
void stats_reset(struct stats *stats);

/* Rates: the server's cron calls sample every 100 ms; rates are means of the last 16. */
enum stats_rate { RATE_COMMANDS, RATE_NET_INPUT, RATE_NET_OUTPUT, RATE_COUNT };
void stats_sample(struct stats *stats, int64_t now_ns);
double stats_rate(struct stats *stats, enum stats_rate which); /* per second */
