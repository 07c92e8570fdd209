/* sim_memory.c - the atomic operations of the simulated program: points, store buffers, the trace. */
#include "sim_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REGIONS_MAX = 64, TRACE_MAX = 1 << 14, STEPS_IN_BUFFER = 48 };

extern char __data_start[], _end[], __start_sim_tls[], __stop_sim_tls[];

/* Memory whose variables live as long as the process: see simulator.h. */
static struct {
    const char *low;
    size_t size;
} regions[REGIONS_MAX];
static unsigned region_count;

static struct {
    struct {
        uint64_t step, value;
        const char *site;
        const void *address;
        int thread;
    } entries[TRACE_MAX];
    uint64_t count;
    unsigned wanted; /* entries that a finding prints; 0: nothing is recorded */
} trace;

/* ---- the trace ---- */

void sim_trace(unsigned points)
{
    trace.wanted = points < TRACE_MAX ? points : TRACE_MAX;
}

void sim_record(const char *site, const void *address, uint64_t value)
{
    if (trace.wanted == 0)
        return;
    size_t i = trace.count++ % TRACE_MAX;
    trace.entries[i].step = sim.step;
    trace.entries[i].value = value;
    trace.entries[i].site = site;
    trace.entries[i].address = address;
    trace.entries[i].thread = (int)(sim.current - sim.threads);
}

void sim_print_trace(void)
{
    uint64_t first = trace.count > trace.wanted ? trace.count - trace.wanted : 0;
    for (uint64_t i = first; i < trace.count; i++) {
        size_t k = i % TRACE_MAX;
        const char *site = strstr(trace.entries[k].site, "src/");
        fprintf(stderr, "  %8llu  %2d  %-44s %14p %#llx\n",
                (unsigned long long)trace.entries[k].step, trace.entries[k].thread,
                site ? site : trace.entries[k].site, trace.entries[k].address,
                (unsigned long long)trace.entries[k].value);
    }
}

/* ---- points ---- */

static inline void point(void)
{
    if (!sim.running)
        return;
    sim.step++;
    sim.now_ns += sim.plan.step_ns;
    if (--sim.countdown == 0)
        sim_decide();
}

void sim_point(const char *site, const void *address)
{
    point();
    sim_record(site, address, 0);
}

/* ---- store buffers ---- */

void *sim_aligned_alloc(size_t alignment, size_t size)
{
    void *p = aligned_alloc(alignment, size);
    if (p && region_count < REGIONS_MAX) {
        regions[region_count].low = p;
        regions[region_count++].size = size;
    }
    return p;
}

static bool lives_for_ever(const volatile void *address)
{
    const char *a = (const char *)(uintptr_t)address;
    if (a >= __data_start && a < _end)
        return a < __start_sim_tls || a >= __stop_sim_tls;
    for (unsigned i = 0; i < region_count; i++)
        if (a >= regions[i].low && a < regions[i].low + regions[i].size)
            return true;
    return false;
}

static void drain_one(struct vthread *t)
{
    struct pending_store *s = &t->buffer[0];
    memcpy((void *)(uintptr_t)s->to, &s->value, s->size);
    t->buffered--;
    sim.buffered--;
    memmove(s, s + 1, t->buffered * sizeof *s);
}

static void drain(struct vthread *t)
{
    while (t->buffered > 0)
        drain_one(t);
}

void sim_drain(void)
{
    drain(sim.current);
}

void sim_drain_all(void)
{
    for (int i = 0; i < sim.count; i++)
        drain(&sim.threads[i]);
}

void sim_drain_someone(void)
{
    if (sim.buffered == 0)
        return;
    struct vthread *t = &sim.threads[sim_choose((uint32_t)sim.count)];
    if (t->buffered > 0)
        drain_one(t);
    for (int i = 0; i < sim.count; i++)
        while (sim.threads[i].buffered > 0 &&
               sim.threads[i].buffer[0].step + STEPS_IN_BUFFER < sim.step)
            drain_one(&sim.threads[i]);
}

/* ---- the operations ---- */

void sim_load(const volatile void *from, void *to, size_t size, const char *site)
{
    point();
    memcpy(to, (const void *)(uintptr_t)from, size);
    struct vthread *t = sim.current;
    for (unsigned i = sim.running ? t->buffered : 0; i-- > 0;)
        if (t->buffer[i].to == from && t->buffer[i].size == size) {
            memcpy(to, &t->buffer[i].value, size);
            break;
        }
    uint64_t value = 0;
    memcpy(&value, to, size < sizeof value ? size : sizeof value);
    sim_record(site, (const void *)(uintptr_t)from, value);
}

void sim_store(volatile void *to, const void *value, size_t size, int order, const char *site)
{
    uint64_t word = 0;
    memcpy(&word, value, size < sizeof word ? size : sizeof word);
    point();
    sim_record(site, (const void *)(uintptr_t)to, word);
    struct vthread *t = sim.current;
    if (!sim.running || !sim.plan.buffers || order == __ATOMIC_SEQ_CST || size > sizeof word ||
        !lives_for_ever(to)) {
        if (sim.running && (order == __ATOMIC_SEQ_CST || t->buffered > 0))
            drain(t); /* stores become visible in order */
        memcpy((void *)(uintptr_t)to, value, size);
        return;
    }
    if (t->buffered == BUFFER_MAX)
        drain_one(t);
    t->buffer[t->buffered++] = (struct pending_store){to, word, size, sim.step};
    sim.buffered++;
}

void sim_before_rmw(const volatile void *address, size_t size, const char *site)
{
    point();
    uint64_t value = 0;
    memcpy(&value, (const void *)(uintptr_t)address, size < sizeof value ? size : sizeof value);
    if (sim.running)
        drain(sim.current);
    sim_record(site, (const void *)(uintptr_t)address, value);
}

bool sim_weak_fails(void)
{
    return sim.running && sim_choose(16) == 0;
}

void sim_fence(int order, const char *site)
{
    point();
    sim_record(site, NULL, 0);
    if (order == __ATOMIC_SEQ_CST && sim.running)
        drain(sim.current);
}

/* ---- clocks ---- */

uint64_t sim_ticks(void)
{
    point();
    return (uint64_t)sim.now_ns * 5 / 2; /* CLOCK_TICKS_4US is 10000 */
}

int sim_clock_gettime(clockid_t clock, struct timespec *out)
{
    if (!sim.running)
        return clock_gettime(clock, out);
    point();
    *out = (struct timespec){sim.now_ns / 1000000000, sim.now_ns % 1000000000};
    return 0;
}
