/* gc_thread.c - see gc_thread.h. */
#include "runtime/gc/gc_thread.h"

#include "base/check.h"
#include "base/torture.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/futex.h"
#include "platform/pointer_store.h"
#include "platform/thread.h"
#include "runtime/gc/gc_stacks.h"
#include "runtime/sched/goroutine.h"

#include <pthread.h>

/* SPIN_NS: where each thread has a core, they stand by then. To wake up on a core that has gone idle takes nearly as long. */
enum { SPIN_NS = TU__LIMIT(50000, 0), PATIENCE_NS_LOG = 35 }; /* 34 s */
/* ThreadSanitizer keeps a signal for the fiber that it came to, which may have left the thread. */
#ifdef TU__TSAN
enum { AGAIN_NS = 2000000 };
#else
enum { AGAIN_NS = 100000000 };
#endif

struct tu__gc_threads tu__gc_threads;

static struct gc_thread no_thread;
__thread struct gc_thread *tu__gc_thread_tls __attribute__((tls_model("initial-exec"))) =
    &no_thread;
static pthread_key_t key;

/* ---- records ---- */

static void thread_ends(void *value)
{
    struct gc_thread *t = value;
    tu__lock(&tu__gc_threads.lock);
    t->idle = true;
    tu__gc_thread_tls = &no_thread;
    tu__unlock(&tu__gc_threads.lock);
}

/* One that is nobody's, or NULL: no memory. */
static struct gc_thread *find_record_locked(void)
{
    struct tu__gc_threads *threads = &tu__gc_threads;
    if (!threads->has_key)
        threads->has_key = pthread_key_create(&key, thread_ends) == 0;
    struct gc_thread *t = atomic_load_explicit(&threads->all, memory_order_relaxed);
    while (t && (!t->idle || t->reserved))
        t = t->next;
    if (t)
        return t;
    t = tu__pages_metadata(sizeof *t);
    if (t) {
        t->idle = true;
        t->next = atomic_load_explicit(&threads->all, memory_order_relaxed);
        atomic_store_explicit(&threads->all, t, memory_order_release);
    }
    return t;
}

/* Makes the record, or if that is NULL one that is nobody's, the calling thread's. */
static struct gc_thread *become(struct gc_thread *reserved)
{
    void *low;
    size_t size;
    thread_stack(&low, &size);
    fault_stop_unblock();
    tu__lock(&tu__gc_threads.lock);
    struct gc_thread *t = reserved ? reserved : find_record_locked();
    if (t) {
        t->idle = t->reserved = t->clean = false;
        t->id = thread_id();
        t->low = low;
        t->high = (char *)low + size;
        t->core = thread_core();
        tu__gc_thread_tls = t;
    }
    tu__unlock(&tu__gc_threads.lock);
    if (t)
        (void)pthread_setspecific(key, t);
    return t;
}

struct gc_thread *tu__gc_thread_here(void)
{
    return tu__gc_thread_tls != &no_thread ? tu__gc_thread_tls : become(NULL);
}

struct gc_thread *tu__gc_thread_reserve(void)
{
    tu__lock(&tu__gc_threads.lock);
    struct gc_thread *t = find_record_locked();
    if (t)
        t->reserved = true;
    tu__unlock(&tu__gc_threads.lock);
    return t;
}

void tu__gc_thread_unreserve(struct gc_thread *t)
{
    tu__lock(&tu__gc_threads.lock);
    t->reserved = false;
    tu__unlock(&tu__gc_threads.lock);
}

void tu__gc_thread_start(struct gc_thread *t)
{
    (void)become(t);
}

int tu_gc_attach(void)
{
    return tu__gc_thread_here() ? 0 : -ENOMEM;
}

void tu__gc_threads_forked(void)
{
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next) {
        t->idle = t != tu__gc_thread_tls;
        t->reserved = false;
    }
    if (tu__gc_thread_tls != &no_thread) {
        tu__gc_thread_tls->id = thread_id();
        tu__gc_thread_tls->core = thread_core();
    }
}

struct gc_thread *tu__gc_busy_begin(void)
{
    struct gc_thread *t = tu__gc_thread_here();
    if (!t)
        return NULL;
    atomic_store_explicit(&t->busy, atomic_load_explicit(&t->busy, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* for our own handler */
    return t;
}

void tu__gc_busy_end(struct gc_thread *t)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&t->busy, atomic_load_explicit(&t->busy, memory_order_relaxed) - 1,
                          memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* a handler that came before has set asked */
    if (__builtin_expect(atomic_load_explicit(&t->asked, memory_order_relaxed), 0) &&
        atomic_load_explicit(&t->busy, memory_order_relaxed) == 0) {
        atomic_store_explicit(&t->asked, 0, memory_order_relaxed);
        fault_ask(t->id);
    }
}

void tu__gc_quiet_begin(void)
{
    struct gc_thread *t = tu__gc_thread_tls;
    if (t != &no_thread)
        atomic_store_explicit(&t->away, GC_QUIET, memory_order_release);
}

static void come_back(struct gc_thread *t)
{
    struct tu__gc_threads *threads = &tu__gc_threads;
    (void)atomic_exchange(&t->away, GC_HERE); /* a full fence: see gc_thread.h */
    for (uint32_t epoch; (epoch = atomic_load(&threads->epoch)) % 2 != 0;)
        (void)futex_wait(&threads->epoch, epoch, -1);
}

void tu__gc_quiet_end(void)
{
    struct gc_thread *t = tu__gc_thread_tls;
    if (t != &no_thread)
        come_back(t);
}

static void touch(char *start, size_t bytes)
{
    enum { LEAST_PAGE_BYTES = 4096 };
    for (size_t i = 0; i < bytes; i += LEAST_PAGE_BYTES)
        *(volatile char *)(start + i) = 0;
}

__attribute__((noinline)) void tu__gc_touch(char *start, size_t bytes)
{
    enum { BELOW_FRAME = 256 }; /* where this frame keeps the registers that it has saved */
    struct gc_thread *t = tu__gc_thread_tls;
    if (t == &no_thread || atomic_load_explicit(&t->busy, memory_order_relaxed)) {
        touch(start, bytes);
        return;
    }
    __builtin_unwind_init(); /* callee-saved registers go to this frame */
    t->touching_sp = (uintptr_t)__builtin_frame_address(0) - BELOW_FRAME;
    atomic_store_explicit(&t->away, GC_TOUCHES, memory_order_release); /* with touching_sp */
    touch(start, bytes);
    come_back(t);
}

/* ---- stopping ---- */

/* ThreadSanitizer calls handlers late, at a place of its choice, with the registers of the moment when the signal
 * came. It is called like a function then, so our own frame says where the thread stands. */
static inline __attribute__((always_inline)) void stand_here(struct fault_stop *at,
                                                             const struct gc_thread *t)
{
#ifdef TU__TSAN
    __builtin_unwind_init(); /* callee-saved registers go to this frame */
    const char *frame = __builtin_frame_address(0);
    if ((frame >= t->low && frame < t->high) || goroutine_of_stack(frame))
        at->sp = (uintptr_t)frame - 256;
#endif
}

/* Where this handler runs on the stack that it interrupted: what lies below its own frame. */
TU__RACY static __attribute__((noinline)) bool clean_own(const char *low)
{
    enum { ROOM = 16 << 10, REST = 4 << 10 };
    const char *here = __builtin_frame_address(0);
    if (here - low < ROOM + REST)
        return false;
    volatile uintptr_t room[ROOM / sizeof(uintptr_t)];
    for (size_t i = 0; i < sizeof room / sizeof room[0]; i++)
        room[i] = 0;
    return true;
}

/* False: it was left as it is. */
static bool clean(const struct gc_thread *t, const struct fault_stop *at)
{
    const char *sp = (const char *)at->sp, *here = __builtin_frame_address(0);
    if (at->sp >= at->alternate_low && at->sp < at->alternate_high)
        return false;
    struct g *g = goroutine_of_stack(sp);
    if (!g && (sp < t->low || sp >= t->high))
        return false;
    const char *low = g ? g->stack_low : t->low;
    const char *high = g ? (const char *)g : t->high;
    if (here >= low && here < high) /* later signals leave vectors there, which are not looked at */
        return !at->vectors && clean_own(low);
    tu__gc_clean_below(sp - REDZONE, low);
    return true;
}

static void stand(struct fault_stop *at)
{
    struct tu__gc_threads *threads = &tu__gc_threads;
    struct gc_thread *t = tu__gc_thread_tls;
    int64_t now_ns = clock_monotonic_ns();
    uint32_t epoch = atomic_load_explicit(&threads->epoch, memory_order_acquire);
    if (t == &no_thread || epoch % 2 == 0 ||
        atomic_load_explicit(&t->counted, memory_order_acquire) != epoch ||
        atomic_load_explicit(&t->answered, memory_order_relaxed) == epoch)
        return;
    if (atomic_load_explicit(&t->busy, memory_order_relaxed)) {
        atomic_store_explicit(&t->asked, 1, memory_order_relaxed);
        return;
    }
    stand_here(at, t);
    pointer_store_again(at->pc);
    if (atomic_load_explicit(&threads->clean, memory_order_relaxed))
        t->clean = clean(t, at);
    t->at = *at;
    t->stood_ns = now_ns;
    atomic_store_explicit(&t->answered, epoch, memory_order_relaxed);
    (void)atomic_fetch_sub_explicit(&threads->waiting, 1, memory_order_acq_rel);
    futex_wake(&threads->waiting, 1); /* not the last one only: see wait_for_all */
    while (atomic_load_explicit(&threads->epoch, memory_order_acquire) == epoch)
        (void)futex_wait(&threads->epoch, epoch, -1);
}

int tu__gc_stop_init(void)
{
    return fault_stop_init(stand);
}

static void ask(bool again, uint32_t epoch)
{
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        if (atomic_load_explicit(&t->counted, memory_order_relaxed) == epoch &&
            (!again || atomic_load_explicit(&t->answered, memory_order_relaxed) != epoch))
            fault_ask(t->id);
}

/* Somebody who was asked waits, it seems, for the core on which we are. */
static bool in_the_way(uint32_t epoch)
{
    const volatile uint32_t *core = thread_core();
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        if (atomic_load_explicit(&t->counted, memory_order_relaxed) == epoch &&
            atomic_load_explicit(&t->answered, memory_order_relaxed) != epoch && core && t->core &&
            *t->core == *core)
            return true;
    return false;
}

/* Sleeps while one of them needs our core, and spins for the others. */
static void wait_for_all(uint32_t epoch)
{
    struct tu__gc_threads *threads = &tu__gc_threads;
    int64_t began_ns = clock_monotonic_ns(), now_ns = began_ns, spin_until_ns = began_ns + SPIN_NS;
    for (uint32_t left; (left = atomic_load_explicit(&threads->waiting, memory_order_acquire)) > 0;
         now_ns = clock_monotonic_ns()) {
        if (now_ns < spin_until_ns && !in_the_way(epoch)) {
            cpu_pause();
            continue;
        }
        if (futex_wait(&threads->waiting, left, AGAIN_NS) == -ETIMEDOUT)
            ask(true, epoch);
        spin_until_ns = clock_monotonic_ns() + SPIN_NS;
        tu_check((now_ns - began_ns) >> PATIENCE_NS_LOG == 0,
                 "collector: %u threads do not stop; does one block or handle SIGURG?", left);
    }
}

void tu__gc_stop(void)
{
    struct tu__gc_threads *threads = &tu__gc_threads;
    uint32_t count = 0;
    /* More than there are, so that it does not come to 0 before all are counted. */
    atomic_store_explicit(&threads->waiting, UINT32_MAX / 2, memory_order_relaxed);
    uint32_t epoch = atomic_fetch_add(&threads->epoch, 1) + 1; /* a full fence */
    for (struct gc_thread *t = atomic_load(&threads->all); t; t = t->next) {
        uint32_t away = atomic_load(&t->away);
        t->left_out = t->idle || t == tu__gc_thread_tls || away == GC_QUIET;
        if (t->left_out)
            continue;
        if (away == GC_TOUCHES) {
            t->at = (struct fault_stop){.sp = t->touching_sp};
            t->clean = false;
            continue;
        }
        count++;
        atomic_store_explicit(&t->counted, epoch, memory_order_release);
    }
    atomic_fetch_sub_explicit(&threads->waiting, UINT32_MAX / 2 - count, memory_order_relaxed);
    ask(false, epoch);
    wait_for_all(epoch);
}

int64_t tu__gc_go_on(void)
{
    /* Before they are woken: one of them may take our core at once. */
    int64_t now_ns = clock_monotonic_ns();
    atomic_fetch_add_explicit(&tu__gc_threads.epoch, 1, memory_order_acq_rel);
    futex_wake(&tu__gc_threads.epoch, INT32_MAX);
    return now_ns;
}

int64_t tu__gc_stood(void)
{
    int64_t last_ns = 0;
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        if (!t->left_out && t->stood_ns > last_ns)
            last_ns = t->stood_ns;
    return last_ns;
}
