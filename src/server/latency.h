/* latency.h - the latency monitor: what took longer than latency-monitor-threshold, by kind of event.
 *
 * Each kind has a series: the worst of each second in which there was one, for the last 160 such seconds,
 * and totals since the last reset. Events are rare (the caller compares with the threshold first), so
 * one lock guards all; memory is fixed. Any thread, also under shard locks; never parks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum latency_event {
    LATENCY_COMMAND,      /* of a row without CMD_FAST */
    LATENCY_FAST_COMMAND, /* of one with it */
    LATENCY_EXPIRE_CYCLE, /* a turn of the expirer */
    LATENCY_EVENTS
};

enum { LATENCY_SAMPLES = 160 };

struct latency_sample {
    int64_t time_s; /* Unix time */
    int64_t worst_ms;
};
/* A copy of a series. */
struct latency_series {
    size_t count; /* 0: nothing since the last reset, and the totals are 0 */
    int64_t max_ms, sum_ms;
    uint64_t events;
    struct latency_sample samples[LATENCY_SAMPLES]; /* oldest first */
};

struct latency;

struct latency *latency_new(void); /* NULL: out of memory */
void latency_free(struct latency *latency);

void latency_add(struct latency *latency, enum latency_event event, int64_t took_ms, int64_t now_s);
/* False: there is nothing. */
bool latency_get(struct latency *latency, enum latency_event event, struct latency_series *out);
/* Forgets the series; true if there was something. */
bool latency_reset(struct latency *latency, enum latency_event event);

const char *latency_event_name(enum latency_event event); /* as LATENCY prints it */
/* The largest sample first met, the smallest, the mean, and the mean distance from it. */
struct latency_summary {
    int64_t low_ms, high_ms, mean_ms, deviation_ms;
    double period_s; /* seconds from one sample to the next, in the mean */
};
/* Of a series with count > 0. */
void latency_summarize(const struct latency_series *series, int64_t now_s,
                       struct latency_summary *out);
