/* simulator.c - virtual threads, whose turn it is, and time.
 *
 * A virtual thread is a saved stack pointer, an image of the section "sim_tls", and what it waits
 * for. The stack may be its own (a scheduler loop) or a goroutine's: a switch saves whatever is current,
 * exactly as an interrupt would, so that a goroutine may be stopped between any two atomic steps
 * while others, on other virtual threads, go on.
 *
 * Three ways to choose who is next (enum sim_policy), because each finds what the others miss: uniform
 * choices find short races; PCT (Burckhardt et al., ASPLOS 2010) finds bugs of depth d with a known
 * probability; a frozen thread finds the window in which somebody was preempted for long, which is
 * what protocols with a fall-back after 10 ms need.
 *
 * A thread that spins (pause, yield) is set back, else strict priorities would spin for ever.
 */
#include "simulator.h"

#include "sim_internal.h"

#include "platform/context_switch.h"
#include "runtime/sched/fiber.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    STACK_BYTES = 256 << 10,
    STEPS_MAX = 4000000,
    PAUSE_NS = 200,
    IDLE_ROUNDS_MAX = 6,
    STEPS_ALONE = 5000
};
#define MONITOR "tuco-monitor" /* what it does is a fall-back, and keeps nobody alive */

struct simulation sim;
void (*sim_when_stuck)(void);
void (*sim_describe)(void);
void (*sim_handler)(void);
static void (*key_ends[KEYS_MAX])(void *value);
static int key_count;
static char stacks[VTHREADS_MAX][STACK_BYTES] __attribute__((aligned(4096)));
extern char __start_sim_tls[], __stop_sim_tls[];

/* ---- random numbers ---- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint32_t sim_choose(uint32_t n)
{
    return (uint32_t)((next_random(&sim.random) >> 32) * n >> 32);
}

uint32_t sim_below(uint32_t n)
{
    return (uint32_t)((next_random(&sim.program_random) >> 32) * n >> 32);
}

/* 1, 2, 3 ... with the given mean, roughly. */
static uint32_t about(uint32_t mean)
{
    return mean <= 1 ? 1 : 1 + sim_choose(2 * mean - 1);
}

static void make_plan(uint64_t seed)
{
    static const uint32_t switches[] = {1, 2, 5, 20, 100, 1000};
    static const uint32_t step_ns[] = {2, 20, 200, 2000, 20000};
    static const uint32_t jumps[] = {0, 0, 20, 200};
    sim.random = seed;
    (void)next_random(&sim.random);
    sim.program_random = sim.random ^ UINT64_C(0x5851f42d4c957f2d);
    sim.plan = (struct sim_plan){
        .seed = seed,
        .policy = sim_choose(SIM_POLICIES),
        .procs = 1 + sim_choose(4),
        .switch_every = switches[sim_choose(6)],
        .step_ns = step_ns[sim_choose(5)],
        .jump_every = jumps[sim_choose(4)],
        .buffers = sim_choose(4) != 0,
        .spurious = sim_choose(2),
    };
    /* PCT: up to five change points in a run of unknown length, which is guessed in five sizes. */
    uint32_t length = 300;
    for (uint32_t i = sim_choose(5); i > 0; i--)
        length *= 4;
    for (unsigned i = 0; i < CHANGE_POINTS; i++)
        sim.change_at[i] = 1 + sim_choose(length);
}

const struct sim_plan *sim_plan(void)
{
    return &sim.plan;
}

uint64_t sim_steps(void)
{
    return sim.step;
}

uint64_t sim_schedule(void)
{
    return sim.schedule_hash ^ sim.step;
}

int64_t sim_now_ns(void)
{
    return sim.now_ns;
}

/* ---- findings ---- */

static const char *const policy_names[] = {"uniform", "pct", "freeze"};

static void describe(void)
{
    const struct sim_plan *p = &sim.plan;
    sim_print_trace();
    fprintf(stderr,
            "  seed %llu: policy %s, %u Ps, a choice every %u steps, %u ns a step%s%s; step %llu, "
            "%.6f ms\n",
            (unsigned long long)p->seed, policy_names[p->policy], p->procs, p->switch_every,
            p->step_ns, p->buffers ? ", store buffers" : "", p->spurious ? ", spurious wakes" : "",
            (unsigned long long)sim.step, (double)(sim.now_ns - SIM_EPOCH_NS) / 1e6);
    for (int i = 0; i < sim.count; i++) {
        struct vthread *t = &sim.threads[i];
        fprintf(stderr, "  thread %d %s%s: %s", i, t->name, t == sim.current ? " (current)" : "",
                t->state == RUNNABLE ? "runnable"
                : t->state == DEAD   ? "ended"
                                     : t->what);
        if (t->state == BLOCKED)
            fprintf(stderr, " on %p", t->wait.on);
        fprintf(stderr, "\n");
    }
    if (sim_describe)
        sim_describe();
    fflush(stderr);
}

void sim_finding(const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    sim.running = false;
    fprintf(stderr, "FINDING: %s\n", text);
    describe();
    _exit(1);
}

/* A failed check, or a crash: the same report, then the end it would have had. */
static void on_abort(int number)
{
    signal(number, SIG_DFL);
    if (sim.running) {
        sim.running = false;
        fprintf(stderr, "FINDING: %s\n", number == SIGABRT ? "aborted (see above)" : "crashed");
        describe();
    }
    raise(number);
}

/* ---- switching ---- */

static void fiber_goes(struct vthread *from, struct vthread *to)
{
#ifdef TU__ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->low, to->size);
#endif
    (void)from, (void)to;
}

/* Tells the one we came from on which stack it was. */
static void fiber_comes(struct vthread *self)
{
#ifdef TU__ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, &sim.before->low, &sim.before->size);
#endif
    (void)self;
}

static void load_image(struct vthread *t)
{
    memcpy(__start_sim_tls, t->tls, (size_t)(__stop_sim_tls - __start_sim_tls));
}

static void switch_to(struct vthread *next)
{
    struct vthread *self = sim.current;
    if (next == self)
        return;
    sim_record("switch to", NULL, (uint64_t)(next - sim.threads));
    int error = errno;
    memcpy(self->tls, __start_sim_tls, (size_t)(__stop_sim_tls - __start_sim_tls));
    sim.before = self;
    sim.current = next;
    self->ran += sim.step - sim.switched_at;
    sim.switched_at = sim.step;
    sim.schedule_hash = (sim.schedule_hash ^ sim.step ^ (uint64_t)(next - sim.threads) << 48) *
                        UINT64_C(0x100000001b3);
    load_image(next);
    fiber_goes(self, next);
    context_switch(&self->sp, next->sp);
    fiber_comes(self);
    errno = error;
}

/* ---- who is next ---- */

static void make_runnable(struct vthread *t, bool woken)
{
    t->state = RUNNABLE;
    t->woken = woken;
    if (sim.plan.policy == SIM_PCT)
        sim.countdown = 1; /* it may be more important than whoever runs */
}

static void look_at_waiting(void)
{
    for (int i = 0; i < sim.count; i++) {
        struct vthread *t = &sim.threads[i];
        if (t->state != BLOCKED)
            continue;
        if (t->wait.ready && t->wait.ready(t->wait.on))
            make_runnable(t, true);
        else if (t->wait.deadline_ns <= sim.now_ns)
            make_runnable(t, false);
    }
}

static int64_t next_deadline(void)
{
    int64_t next_ns = INT64_MAX;
    for (int i = 0; i < sim.count; i++)
        if (sim.threads[i].state == BLOCKED && sim.threads[i].wait.deadline_ns < next_ns)
            next_ns = sim.threads[i].wait.deadline_ns;
    return next_ns;
}

/* The eligible one with the best priority, or one at random. NULL: nobody. */
static struct vthread *pick(void)
{
    struct vthread *eligible[VTHREADS_MAX], *best = NULL, *frozen = NULL;
    uint32_t n = 0;
    look_at_waiting();
    for (int i = 0; i < sim.count; i++) {
        struct vthread *t = &sim.threads[i];
        if (t->state != RUNNABLE)
            continue;
        if (t->frozen_until > sim.step) {
            if (!frozen || t->frozen_until < frozen->frozen_until)
                frozen = t;
            continue;
        }
        eligible[n++] = t;
        if (!best || t->priority > best->priority)
            best = t;
    }
    if (n == 0 && frozen) {
        if (sim_choose(2) == 0 && next_deadline() != INT64_MAX) {
            sim.now_ns = next_deadline(); /* the frozen one is kept even longer */
            return pick();
        }
        frozen->frozen_until = 0;
    }
    if (n == 0)
        return frozen;
    return sim.plan.policy == SIM_PCT ? best : eligible[sim_choose(n)];
}

/* To the next deadline. Only the monitor has one: some rounds of it, then nothing will happen. */
static void advance_time(void)
{
    int64_t next_ns = next_deadline();
    bool only_monitor = true;
    if (sim_when_stuck)
        sim_when_stuck();
    for (int i = 0; i < sim.count; i++) {
        struct vthread *t = &sim.threads[i];
        if (t->state == BLOCKED && t->wait.deadline_ns != INT64_MAX &&
            strcmp(t->name, MONITOR) != 0)
            only_monitor = false;
    }
    if (next_ns == INT64_MAX)
        sim_finding("hang: nobody can run, and nobody waits for a time");
    if (only_monitor && ++sim.idle_rounds > IDLE_ROUNDS_MAX)
        sim_finding("hang: nobody can run, and only the monitor waits for a time");
    if (!only_monitor)
        sim.idle_rounds = 0;
    if (next_ns > sim.now_ns)
        sim.now_ns = next_ns;
}

static void run_another(void)
{
    struct vthread *next;
    while (!(next = pick()))
        advance_time();
    if (next != sim.current && strcmp(next->name, MONITOR) != 0)
        sim.idle_rounds = 0;
    switch_to(next);
}

static void set_back(struct vthread *t)
{
    t->priority = --sim.lowest_priority;
    t->ran = 0;
    sim.switched_at = sim.step;
}

/* A point of the handler's may switch as any other; another signal waits for its end, as in the kernel. False: there
 * was no signal. */
static bool handle_signal(struct vthread *self)
{
    if (!self->signalled || self->handling)
        return false;
    int error = errno;
    self->handling = true;
    while (self->signalled) {
        self->signalled = false;
        sim_handler();
    }
    self->handling = false;
    errno = error;
    return true;
}

/* A choice of the scheduler: perhaps time jumps, perhaps somebody else goes on. */
void sim_decide(void)
{
    const struct sim_plan *plan = &sim.plan;
    struct vthread *self = sim.current;
    if (sim.step > STEPS_MAX)
        sim_finding("no end after %d steps: a livelock?", STEPS_MAX);
    if (plan->jump_every > 0 && sim_choose(plan->jump_every) == 0)
        sim.now_ns += (int64_t)sim_choose(20000) * 1000;
    if (plan->policy == SIM_PCT) {
        sim.countdown = 32; /* deadlines that pass are seen that late */
        if (self->ran + (sim.step - sim.switched_at) > STEPS_ALONE)
            set_back(self); /* it spins without saying so */
        for (unsigned i = 0; i < CHANGE_POINTS; i++)
            if (sim.change_at[i] != 0 && sim.change_at[i] <= sim.step) {
                sim.change_at[i] = 0;
                set_back(self);
            } else if (sim.change_at[i] != 0 && sim.change_at[i] - sim.step < sim.countdown) {
                sim.countdown = (uint32_t)(sim.change_at[i] - sim.step);
            }
    } else {
        sim.countdown = about(plan->switch_every);
        if (plan->policy == SIM_FREEZE && sim_choose(40) == 0)
            self->frozen_until = sim.step + 1 + sim_choose(20000);
    }
    if (sim_choose(2) == 0)
        sim_drain_someone();
    run_another();
    (void)handle_signal(self);
}

void sim_pause(void)
{
    if (!sim.running)
        return;
    sim.step++;
    sim.now_ns += PAUSE_NS;
    set_back(sim.current);
    sim_decide();
}

void sim_compute(int64_t duration_ns)
{
    sim.now_ns += duration_ns;
    sim_point("computes", NULL);
}

bool sim_spuriously(void)
{
    return sim.plan.spurious && sim_choose(24) == 0;
}

/* ---- blocking ---- */

bool sim_block(const struct sim_wait *wait, const char *what)
{
    struct vthread *self = sim.current;
    self->state = BLOCKED;
    self->ran = 0;
    sim.switched_at = sim.step;
    self->wait = *wait;
    self->what = what;
    sim_record(what, wait->on, 0);
    run_another();
    bool woken = self->woken; /* the handler may wait as well */
    return handle_signal(self) || woken;
}

void sim_signal(int thread)
{
    struct vthread *t = &sim.threads[thread - 1];
    if (t->state == DEAD)
        return;
    t->signalled = true;
    if (t == sim.current)
        (void)handle_signal(t);
    else if (t->state == BLOCKED && !t->handling)
        make_runnable(t, true);
}

void sim_wake(const void *on, int count)
{
    uint32_t start = sim_choose((uint32_t)sim.count);
    for (int i = 0; i < sim.count && count > 0; i++) {
        struct vthread *t = &sim.threads[(start + (uint32_t)i) % (uint32_t)sim.count];
        if (t->state == BLOCKED && t->wait.on == on) {
            make_runnable(t, true);
            count--;
        }
    }
}

bool sim_waits_for_ever(const void *on)
{
    for (int i = 0; i < sim.count; i++) {
        const struct vthread *t = &sim.threads[i];
        if (t->state == BLOCKED && t->wait.on == on)
            return t->wait.deadline_ns == INT64_MAX;
    }
    return false;
}

/* ---- threads ---- */

static void thread_main(void)
{
    struct vthread *self = sim.current;
    fiber_comes(self);
    (void)self->run(self->arg);
    for (int i = 0; i < key_count; i++)
        if (self->specific[i])
            key_ends[i](self->specific[i]);
    sim_drain();
    self->state = DEAD;
    run_another();
    __builtin_unreachable();
}

int sim_thread(void *(*run)(void *arg), void *arg, const char *name)
{
    if (sim.count == VTHREADS_MAX)
        return -EAGAIN;
    struct vthread *t = &sim.threads[sim.count];
    t->low = stacks[sim.count++];
    t->size = STACK_BYTES;
    t->run = run;
    t->arg = arg;
    snprintf(t->name, sizeof t->name, "%s", name);
    memcpy(t->tls, sim.fresh_tls, sizeof t->tls);
    t->sp = context_prepare((char *)(uintptr_t)t->low + STACK_BYTES, thread_main);
    t->priority = (int64_t)sim_choose(1 << 20);
    make_runnable(t, false);
    return 0;
}

unsigned sim_thread_count(const char *prefix)
{
    unsigned count = 0;
    for (int i = 0; i < sim.count; i++)
        count += sim.threads[i].state != DEAD &&
                 strncmp(sim.threads[i].name, prefix, strlen(prefix)) == 0;
    return count;
}

int sim_thread_number(void)
{
    return (int)(sim.current - sim.threads) + 1;
}

int sim_key_create(pthread_key_t *key, void (*end)(void *value))
{
    if (key_count == KEYS_MAX)
        return EAGAIN;
    *key = (pthread_key_t)key_count;
    key_ends[key_count++] = end;
    return 0;
}

int sim_set_specific(pthread_key_t key, const void *value)
{
    sim.current->specific[key] = (void *)(uintptr_t)value;
    return 0;
}

void sim_thread_stack(void **low, size_t *size)
{
    *low = stacks[sim.current - sim.threads];
    *size = STACK_BYTES;
}

struct first {
    void (*main_fn)(void *arg);
    void *arg;
};

static void *first_thread(void *arg)
{
    struct first *first = arg;
    first->main_fn(first->arg);
    sim.running = false;
    struct vthread *self = sim.current;
    sim.before = self;
    fiber_goes(self, &sim.host);
    context_switch(&self->sp, sim.host.sp);
    return NULL;
}

void sim_run(uint64_t seed, void (*main_fn)(void *arg), void *arg)
{
    size_t tls = (size_t)(__stop_sim_tls - __start_sim_tls);
    if (tls > sizeof sim.fresh_tls)
        sim_finding("%zu bytes of thread-local variables", tls);
    memcpy(sim.fresh_tls, __start_sim_tls, tls);
    make_plan(seed);
    sim.now_ns = SIM_EPOCH_NS;
    struct first first = {main_fn, arg};
    (void)sim_thread(first_thread, &first, "main");
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    signal(SIGBUS, on_abort);
    signal(SIGILL, on_abort);
    signal(SIGFPE, on_abort);
    sim.running = true;
    sim.countdown = about(sim.plan.switch_every);
    sim.before = &sim.host;
    sim.current = &sim.threads[0];
    fiber_goes(&sim.host, sim.current);
    context_switch(&sim.host.sp, sim.current->sp);
    fiber_comes(&sim.host);
}
