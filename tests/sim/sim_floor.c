/* sim_floor.c - the platform floor of the simulator: futex, poll, thread and barrier on virtual threads.
 *
 * Descriptors are real (socket pairs and pipes of this process, which a single thread drives
 * deterministically): a poller has an epoll of its own as soon as something is added, and is asked
 * without waiting whenever the simulator looks for somebody to run.
 */
#include "simulator.h"

#include "platform/barrier.h"
#include "platform/fault.h"
#include "platform/futex.h"
#include "platform/poll.h"
#include "platform/thread.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static int64_t deadline_in(int64_t timeout_ns)
{
    return timeout_ns < 0 ? INT64_MAX : sim_now_ns() + timeout_ns;
}

/* ---- futex.h ---- */

int futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns)
{
    sim_point("futex_wait", word);
    sim_drain();
    if (*(volatile uint32_t *)(void *)word != expected)
        return -EAGAIN;
    if (sim_spuriously())
        return 0;
    struct sim_wait wait = {.on = word, .deadline_ns = deadline_in(timeout_ns)};
    return sim_block(&wait, "futex") ? 0 : -ETIMEDOUT;
}

void futex_wake(_Atomic uint32_t *word, int count)
{
    sim_point("futex_wake", word);
    sim_drain();
    sim_wake(word, count);
}

/* ---- poll.h ---- */

/* A poller's eventfd is the number of an entry here. */
enum { POLLERS_MAX = 8 };
static struct {
    bool woken;
    int epoll_fd; /* 0: nothing added yet */
} pollers[POLLERS_MAX];
static int poller_count;

int poll_init(struct poll *poll)
{
    if (poller_count == POLLERS_MAX)
        return -EMFILE;
    poll->epoll_fd = -1;
    poll->wake_fd = poller_count++;
    return 0;
}

void poll_close(struct poll *poll)
{
    poller_count--; /* those of a start that has failed, the last first */
}

const char *poll_backend(const struct poll *poll)
{
    return "simulator";
}

void poll_remove(struct poll *poll, int fd) {}

int poll_add(struct poll *poll, int fd, void *data)
{
    sim_point("poll_add", poll);
    sim_drain();
    int *own = &pollers[poll->wake_fd].epoll_fd;
    if (*own == 0) {
        int made = epoll_create1(EPOLL_CLOEXEC);
        if (made < 0)
            return -errno;
        *own = made;
    }
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = data};
    return epoll_ctl(*own, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int collect(struct poll *poll, struct poll_event *events, int capacity)
{
    struct epoll_event raw[POLL_EVENTS_MAX];
    int fd = pollers[poll->wake_fd].epoll_fd;
    int n = fd == 0
                ? 0
                : epoll_wait(fd, raw, capacity < POLL_EVENTS_MAX ? capacity : POLL_EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        unsigned in = raw[i].events, mask = 0;
        if (in & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            mask |= POLL_IN;
        if (in & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            mask |= POLL_OUT;
        if (in & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            mask |= POLL_HUP;
        events[i] = (struct poll_event){raw[i].data.ptr, mask};
    }
    return n < 0 ? 0 : n;
}

/* An epoll is itself pollable: a level, which asking does not use up. */
static bool has_events(const void *on)
{
    const struct poll *poll = on;
    int fd = pollers[poll->wake_fd].epoll_fd;
    if (fd == 0)
        return false;
    static int outer;
    if (outer == 0)
        outer = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN}, got;
    (void)epoll_ctl(outer, EPOLL_CTL_ADD, fd, &e);
    int n = epoll_wait(outer, &got, 1, 0);
    (void)epoll_ctl(outer, EPOLL_CTL_DEL, fd, NULL);
    return n == 1;
}

int poll_wait(struct poll *poll, struct poll_event *events, int capacity, int64_t timeout_ns,
              bool *woken)
{
    sim_point("poll_wait", poll);
    sim_drain();
    int64_t deadline_ns = deadline_in(timeout_ns);
    bool *wake = &pollers[poll->wake_fd].woken;
    if (timeout_ns != 0 && sim_spuriously())
        return 0;
    for (;;) {
        int n = collect(poll, events, capacity);
        if (*wake) {
            *wake = false;
            if (woken)
                *woken = true;
            return n;
        }
        if (n == 0 && timeout_ns == 0)
            sim_pause(); /* who looks again and again must let others run */
        if (n > 0 || timeout_ns == 0)
            return n;
        struct sim_wait wait = {.on = poll, .deadline_ns = deadline_ns, .ready = has_events};
        if (!sim_block(&wait, "poll"))
            return 0;
    }
}

void poll_wake(struct poll *poll)
{
    sim_point("poll_wake", poll);
    sim_drain();
    pollers[poll->wake_fd].woken = true;
    sim_wake(poll, 1);
}

/* ---- thread.h ---- */

int thread_start(void *(*run)(void *arg), void *arg, size_t stack_size, const char *name)
{
    sim_point("thread_start", NULL);
    sim_drain();
    return sim_thread(run, arg, name);
}

int thread_id(void)
{
    return sim_thread_number();
}

/* The runtime's are called so; the first thread, and those that scenarios start, are not. */
unsigned thread_count_started(void)
{
    sim_point("thread_count_started", NULL);
    return sim_thread_count("tuco");
}

int thread_census(unsigned *threads, uint64_t *handled)
{
    sim_point("thread_census", NULL);
    *threads = sim_thread_count("");
    *handled = 0;
    return 0;
}

_Noreturn void thread_end_process(int status)
{
    sim_finding("the runtime says that all goroutines are asleep");
}

void thread_signals_save(void) {}
void thread_signals_restore(void) {}

void thread_short_slices(void) {}
const volatile uint32_t *thread_core(void)
{
    return NULL;
}

void thread_yield(void)
{
    sim_drain();
    sim_pause();
}

void thread_sleep_ns(long long duration_ns)
{
    sim_point("thread_sleep_ns", NULL);
    sim_drain();
    struct sim_wait wait = {.deadline_ns = deadline_in(duration_ns < 0 ? 0 : duration_ns)};
    while (sim_block(&wait, "sleep")) {
    }
}

void thread_stack(void **low, size_t *size)
{
    sim_thread_stack(low, size);
}

/* ---- fault.h: signals that stop threads; faults are the simulator's own ---- */

static void (*stop_thread)(struct fault_stop *at);

/* Registers are in this frame, or were saved above it. */
static __attribute__((noinline)) void on_question(void)
{
    enum { FRAME_BYTES = 256 };
    uintptr_t pc = 0;
    __builtin_unwind_init();
    struct fault_stop at = {.pc = &pc, .sp = (uintptr_t)__builtin_frame_address(0) - FRAME_BYTES};
    if (stop_thread)
        stop_thread(&at);
}

void fault_init(bool (*explain)(void *address, const struct fault_place *at)) {}
void fault_thread_init(void) {}
void fault_stop_unblock(void) {}

bool fault_asking_init(void (*answer)(const struct fault_place *at))
{
    return false;
}

int fault_stop_init(void (*stop)(struct fault_stop *at))
{
    stop_thread = stop;
    sim_handler = on_question;
    return 0;
}

void fault_ask(int thread)
{
    sim_point("fault_ask", NULL);
    sim_drain();
    sim_signal(thread);
}

/* ---- barrier.h ---- */

void barrier_all_threads(void)
{
    sim_point("barrier_all_threads", NULL);
    sim_drain_all();
}
