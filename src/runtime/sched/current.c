/* current.c - what the running goroutine may ask about itself and the scheduler, and say about itself. None of it
 * parks; each call reads the M once and uses nothing of it that another thread writes. */
#include "runtime/sched/schedule.h"

#include "platform/clock.h"

#include <tuco/go.h>

static __thread struct tu__cancel *thread_cancel;

struct tu__cancel *tu__cancel_current(void)
{
    struct m *m = tu__m();
    return m && m->g ? m->g->cancel : thread_cancel;
}

struct tu__cancel *tu__cancel_swap(struct tu__cancel *c)
{
    struct m *m = tu__m();
    struct tu__cancel **slot = m && m->g ? &m->g->cancel : &thread_cancel;
    struct tu__cancel *before = *slot;
    *slot = c;
    return before;
}

bool tu_on_goroutine(void)
{
    struct m *m = tu__m();
    return m && m->g;
}

uint64_t tu_goroutine_id(void)
{
    struct m *m = tu__m();
    return m && m->g ? m->g->id : 0;
}

const struct tu_site *tu_goroutine_site(void)
{
    struct m *m = tu__m();
    return m && m->g ? m->g->site : NULL;
}

void tu_set_name(const char *name)
{
    struct m *m = tu__m();
    if (m && m->g)
        goroutine_set_name(m->g, name);
}

const char *tu_goroutine_name(void)
{
    struct m *m = tu__m();
    return m && m->g ? m->g->name : "";
}

unsigned tu_maxprocs(void)
{
    return tu__sched.proc_count;
}

uint32_t tu__proc_index(void)
{
    struct m *m = tu__m();
    struct p *p = m ? m->p : NULL;
    return p ? p->index : 0;
}

size_t tu_goroutines(void)
{
    uint64_t n = atomic_load_explicit(&tu__sched.foreign_started, memory_order_relaxed) -
                 atomic_load_explicit(&tu__sched.foreign_finished, memory_order_relaxed);
    for (uint32_t i = 0; i < tu__sched.proc_count; i++) {
        struct p *p = &tu__sched.procs[i];
        n += atomic_load_explicit(&p->started, memory_order_relaxed);
        n -= atomic_load_explicit(&p->finished, memory_order_relaxed);
    }
    return (size_t)n;
}

int64_t tu_now(void)
{
    return clock_monotonic_ns();
}

void tu_blocking_begin(void)
{
    struct m *m = tu__m();
    if (m)
        atomic_fetch_add_explicit(&m->blocking, 1, memory_order_relaxed);
}

void tu_blocking_end(void)
{
    struct m *m = tu__m();
    if (m)
        atomic_fetch_sub_explicit(&m->blocking, 1, memory_order_relaxed);
}

void tu__give_away(struct p *p)
{
    if (tu__start_machine(p) < 0)
        atomic_store_explicit(&p->m, NULL, memory_order_release);
}

/* Alone, with nothing to watch, it keeps its P: without one each call of the runtime costs more. Tried: a long slice from the kernel
 * meanwhile, so that who wakes preempts it; the others' P99 did not fall. */
void tu_step_aside(void)
{
    struct m *m = tu__m();
    if (!m || !m->g)
        return;
    struct p *p = tu__enter(m);
    if (p && (atomic_load_explicit(&p->conns, memory_order_relaxed) > 0 ||
              atomic_load_explicit(&p->timers.next_ns, memory_order_relaxed) != INT64_MAX ||
              atomic_load_explicit(&p->fresh_count, memory_order_relaxed) > 0 ||
              !run_queue_empty(&p->queue))) {
        m->p = NULL;
        tu__give_away(p);
    }
    tu__exit(m);
}

void tu_nopark_begin(void)
{
#ifdef TU_DEBUG
    struct m *m = tu__m();
    if (m && m->g)
        m->g->nopark++;
#endif
}

void tu_nopark_end(void)
{
#ifdef TU_DEBUG
    struct m *m = tu__m();
    if (m && m->g)
        m->g->nopark--;
#endif
}
