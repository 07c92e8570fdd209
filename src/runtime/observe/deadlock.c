/* deadlock.c - all goroutines are asleep.
 *
 * A report ends the process, so it must never be wrong: when in doubt, nothing is said. The monitor looks when
 * every P is asleep, cheapest question first. It is a deadlock when all of this holds:
 *
 *  1 The program was started by tu_main, and its main function runs. The caller of tu_main waits for that.
 *  2 Every P is asleep and its queues, like the global one, are empty: no goroutine and no handler is running or
 *    about to, except on a thread that has lost its P (5).
 *  3 No timer is armed: no sleep, deadline, ticker or context will end.
 *  4 No conn is served by tu_serve: its handler could start from an event of the network.
 *  5 Every goroutine is parked, for something that only other goroutines do (`by_goroutines`). One in I/O, a file
 *    call, an address lookup, or any kind of wait that is not on that list, may be woken from outside. One that
 *    computes or blocks in foreign code is not parked, whether its thread has a P or not.
 *  6 The process has no thread but the runtime's and the caller of tu_main: there is no foreign thread that
 *    could send, unlock or start something. Threads that libraries start (for getaddrinfo_a, timers with
 *    SIGEV_THREAD, sanitizers) count as foreign.
 *  7 It has no signal handler but the runtime's and those for crashes. A handler should not wake goroutines (it
 *    may write to a descriptor that one reads: 5), but programs that live on their handlers exist.
 *
 * Why the answers still hold when the last one has come: (2) to (4) are asked before and after the others, and must
 * find the same scheduling decisions counted. Threads are counted in between, and once more after the goroutines were
 * walked: one that had lost its P may have started a thread after the first count, and parked before the walk. At
 * that moment no foreign thread exists, and only a goroutine, a handler, a timer or the caller of tu_main could start one. What a foreign
 * thread did before it ended is published (program order, and a barrier on all threads before the second
 * look): it lies in a queue, has woken a P, or has run, which shows in (2), in a sleeping P less, or in a
 * decision more. Goroutines are walked in between as well: one that had lost its P and parks only after
 * we looked at it was not parked when we looked: it waits already, by its own word, but the M that it leaves
 * has its `after` still, and may be about to find that it was woken. So between the two looks nothing ran, and
 * nothing is left that could.
 *
 * A process that waits for something else than I/O, and is not reported, costs one census of threads a second while idle.
 * Under ThreadSanitizer, whose own thread counts as foreign, nothing is ever reported.
 */
#include "platform/barrier.h"
#include "platform/clock.h"
#include "platform/thread.h"
#include "runtime/observe/dump.h"
#include "runtime/sched/schedule.h"

#include <tuco/go.h>

#include <unistd.h>

enum { AGAIN_MIN_NS = 100000000, COST_SHARE = 20 };

static _Atomic bool watching;

/* The monitor's notes. */
static struct {
    int64_t not_before_ns;
    struct g *outsider; /* was last found waiting for something from outside */
} notes;

static bool by_goroutines(enum tu__wait why)
{
    switch (why) {
    case TU__WAIT_CHAN_SEND:
    case TU__WAIT_CHAN_RECV:
    case TU__WAIT_SELECT:
    case TU__WAIT_MUTEX:
    case TU__WAIT_WAIT_GROUP:
    case TU__WAIT_CONDITION:
    case TU__WAIT_SEMAPHORE:
    case TU__WAIT_CONTEXT:
    case TU__WAIT_FOREVER:
    case TU__WAIT_RLOCK:
    case TU__WAIT_WLOCK:
    case TU__WAIT_SCOPE: return true;
    default: return false;
    }
}

/* Conditions 2 to 4. *decisions grows whenever a P does anything. */
static bool quiet(uint64_t *decisions)
{
    *decisions = 0;
    if (atomic_load(&tu__sched.idle_count) != (int32_t)tu__sched.proc_count ||
        atomic_load(&tu__sched.global_count) != 0 || atomic_load(&tu__sched.serving) != 0)
        return false;
    for (uint32_t i = 0; i < tu__sched.proc_count; i++) {
        struct p *p = &tu__sched.procs[i];
        if (atomic_load(&p->asleep) != 1 || !run_queue_empty(&p->queue) ||
            atomic_load(&p->fresh_count) != 0 || atomic_load(&p->timers.next_ns) != INT64_MAX)
            return false;
        *decisions += atomic_load(&p->tick);
    }
    return true;
}

/* Condition 5, for one goroutine. */
TU__RACY static bool parked_by_goroutines(struct g *g, void *arg)
{
    bool *all = arg;
    enum tu__wait why = (enum tu__wait)(atomic_load_explicit(&g->wait, memory_order_acquire) & 255);
    if ((!g->alive && why == TU__WAIT_NONE) || by_goroutines(why))
        return true;
    notes.outsider = g;
    return *all = false;
}

/* Condition 5: an M without a P is between a goroutine's word that it waits and its parking. */
static bool somebody_parks(void)
{
    struct m *m = atomic_load_explicit(&tu__sched.all_ms, memory_order_acquire);
    while (m && !atomic_load_explicit(&m->after, memory_order_acquire))
        m = m->all_next;
    return m != NULL;
}

/* Conditions 6 and 7. */
static bool alone(void)
{
    /* SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGURG, SIGSYS, and two that glibc keeps
     * for itself. */
    static const int harmless[] = {3, 4, 5, 6, 7, 8, 11, 23, 31, 32, 33};
    unsigned threads;
    uint64_t handled;
    unsigned ours = thread_count_started() + 1;
    if (thread_census(&threads, &handled) < 0 || threads != ours)
        return false;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        handled &= ~(UINT64_C(1) << (harmless[i] - 1));
    return handled == 0;
}

static bool deadlocked(void)
{
    uint64_t before, after;
    bool all = true;
    if (!quiet(&before) || !alone())
        return false;
    goroutine_each(parked_by_goroutines, &all);
    if (!all || somebody_parks() || !alone())
        return false;
    barrier_all_threads();
    return quiet(&after) && after == before && atomic_load(&watching);
}

static void report_and_end(void)
{
    struct report out;
    report_init(&out, STDERR_FILENO);
    report_text(&out, "tuco: all goroutines are asleep - deadlock!\n");
    dump_all(NULL, &out);
    thread_end_process(2);
}

void tu__deadlock_look(void)
{
    uint64_t decisions;
    bool all = true;
    if (!atomic_load_explicit(&watching, memory_order_relaxed) || !quiet(&decisions))
        return;
    /* An idle server is asked this after each burst of work: usually the same goroutine waits as ever. */
    if (notes.outsider && !parked_by_goroutines(notes.outsider, &all))
        return;
    int64_t began_ns = clock_monotonic_ns();
    if (began_ns < notes.not_before_ns)
        return;
    if (deadlocked())
        report_and_end();
    int64_t cost_ns = COST_SHARE * (clock_monotonic_ns() - began_ns);
    notes.not_before_ns = began_ns + (cost_ns > AGAIN_MIN_NS ? cost_ns : AGAIN_MIN_NS);
}

void tu__deadlock_ignore(void)
{
    atomic_store(&watching, false);
}

void tu__deadlock_watch(void)
{
    atomic_store(&watching, true);
}
