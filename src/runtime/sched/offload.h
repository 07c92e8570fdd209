/* offload.h - a bounded pool of threads for calls that block or want a large stack.
 *
 * Each lane has a queue and a limit of its own, and the pool may have as many threads as all limits
 * together: a job waits only for jobs of its own lane, so 16 lookups at a dead name server delay the
 * 17th lookup, and no file. Threads are started when a job has nobody to run it, are shared by all
 * lanes, and end after some idle seconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum tu__lane { LANE_FILE, LANE_LOOKUP, LANE_CALL, LANES };

struct tu__job {
    void (*run)(
        struct tu__job *job);    /* on a pool thread; the pool does not touch the job after it */
    struct tu__job *next, *prev; /* the pool's */
    enum tu__lane lane;          /* the pool's */
    bool queued;                 /* the pool's */
};

/* Queues a job; it runs soon, or is withdrawn. 0, or -EAGAIN when it would need a thread and there is
 * none and none can be started: the job is then the caller's again. From any thread; never parks. */
int tu__offload_submit(struct tu__job *job, enum tu__lane lane);
/* True: the job had not begun and will not run. False: it runs or has run. Never parks. */
bool tu__offload_withdraw(struct tu__job *job);
/* fn(arg) on a pool thread; parks meanwhile. 0 when fn has returned. The current context's error when
 * that ended before fn began, or -EAGAIN: fn was not and will not be called. */
int tu__offload_call(enum tu__lane lane, void (*fn)(void *arg), void *arg);

/* The most threads that LANE_CALL may occupy, 1 to 10,000; for tu_start. */
void tu__offload_limit_calls(uint32_t threads);

struct tu__offload_stats {
    uint32_t threads, idle;
    uint32_t queued[LANES], running[LANES];
};
struct tu__offload_stats tu__offload_stats(void); /* for tests and dumps */
