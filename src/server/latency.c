/* latency.c - see latency.h. */
#include "server/latency.h"

#include "runtime/sched/park.h"

#include "base/check.h"

#include <tuco/mem.h>

/* A ring: `next` is where the next sample goes, and once it is full the oldest. */
struct ring {
    size_t count, next;
    int64_t max_ms, sum_ms;
    uint64_t events;
    struct latency_sample samples[LATENCY_SAMPLES];
};
struct latency {
    struct tu__lock lock;
    struct ring rings[LATENCY_EVENTS];
};

struct latency *latency_new(void)
{
    return tu_alloc_zeroed(sizeof(struct latency));
}

void latency_free(struct latency *latency)
{
    tu_free(latency);
}

const char *latency_event_name(enum latency_event event)
{
    static const char *const names[LATENCY_EVENTS] = {"command", "fast-command", "expire-cycle"};
    tu_check(event < LATENCY_EVENTS, "no latency event has the number %d", (int)event);
    return names[event];
}

static void ring_add(struct ring *ring, int64_t took_ms, int64_t now_s)
{
    ring->events++;
    ring->sum_ms += took_ms;
    if (took_ms > ring->max_ms)
        ring->max_ms = took_ms;
    struct latency_sample *last =
        &ring->samples[(ring->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
    if (ring->count > 0 && last->time_s == now_s) {
        if (took_ms > last->worst_ms)
            last->worst_ms = took_ms;
        return;
    }
    ring->samples[ring->next] = (struct latency_sample){now_s, took_ms};
    ring->next = (ring->next + 1) % LATENCY_SAMPLES;
    if (ring->count < LATENCY_SAMPLES)
        ring->count++;
}

void latency_add(struct latency *latency, enum latency_event event, int64_t took_ms, int64_t now_s)
{
    tu__lock(&latency->lock);
    ring_add(&latency->rings[event], took_ms, now_s);
    tu__unlock(&latency->lock);
}

bool latency_get(struct latency *latency, enum latency_event event, struct latency_series *out)
{
    const struct ring *ring = &latency->rings[event];
    tu__lock(&latency->lock);
    out->count = ring->count;
    out->max_ms = ring->max_ms;
    out->sum_ms = ring->sum_ms;
    out->events = ring->events;
    for (size_t i = 0; i < ring->count; i++)
        out->samples[i] =
            ring->samples[(ring->next + LATENCY_SAMPLES - ring->count + i) % LATENCY_SAMPLES];
    tu__unlock(&latency->lock);
    return out->count > 0;
}

bool latency_reset(struct latency *latency, enum latency_event event)
{
    struct ring *ring = &latency->rings[event];
    tu__lock(&latency->lock);
    bool any = ring->count > 0;
    *ring = (struct ring){0};
    tu__unlock(&latency->lock);
    return any;
}

void latency_summarize(const struct latency_series *series, int64_t now_s,
                       struct latency_summary *out)
{
    tu_assert(series->count > 0);
    int64_t sum = 0, distance = 0, count = (int64_t)series->count;
    *out = (struct latency_summary){.low_ms = INT64_MAX};
    for (size_t i = 0; i < series->count; i++) {
        int64_t ms = series->samples[i].worst_ms;
        out->low_ms = ms < out->low_ms ? ms : out->low_ms;
        out->high_ms = ms > out->high_ms ? ms : out->high_ms;
        sum += ms;
    }
    out->mean_ms = sum / count;
    for (size_t i = 0; i < series->count; i++) {
        int64_t off = series->samples[i].worst_ms - out->mean_ms;
        distance += off < 0 ? -off : off;
    }
    out->deviation_ms = distance / count;
    int64_t span = now_s - series->samples[0].time_s;
    out->period_s = span > 0 ? (double)span / (double)count : 0;
}
