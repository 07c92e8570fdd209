/* conn.c - see conn.h. */
#include "runtime/net/conn.h"

#include "base/check.h"
#include "base/torture.h"
#include "platform/clock.h"
#include "platform/socket.h"
#include "runtime/sched/cancel.h"

#include <tuco/go.h>
#include <tuco/mem.h>

enum { CONNS_FILL = TU__LIMIT(64, 1) };

static struct {
    struct tu__lock lock;
    struct tu_conn *free;
} pool;

/* Ps are filled one after the other: a machine with few connections then keeps one P awake instead
 * of several half awake, and its batches are larger; who falls behind is helped by stealing. Beyond
 * CONNS_FILL each, the least loaded P gets the next. */
uint32_t tu__conn_next_proc(void)
{
    uint32_t least = 0, fewest = UINT32_MAX;
    for (uint32_t i = 0; i < tu__sched.proc_count; i++) {
        uint32_t n = atomic_load_explicit(&tu__sched.procs[i].conns, memory_order_relaxed);
        if (n < CONNS_FILL)
            return i;
        if (n < fewest) {
            fewest = n;
            least = i;
        }
    }
    return least;
}

static void on_ready(struct pollable *self, unsigned events);

/* `ready` is written once for the memory's life: a stale event may be reading it. */
static struct tu_conn *pool_get(void)
{
    tu__lock(&pool.lock);
    struct tu_conn *c = pool.free;
    if (c)
        pool.free = c->next_free;
    tu__unlock(&pool.lock);
    if (!c && (c = tu_alloc_zeroed(sizeof *c)))
        c->poll.ready = on_ready;
    return c;
}

static void pool_put(struct tu_conn *c)
{
    tu__lock(&pool.lock);
    c->next_free = pool.free;
    pool.free = c;
    tu__unlock(&pool.lock);
}

/* Claims and unlinks everyone in q; the caller holds the lock and wakes the list afterwards. */
static struct tu__place *claim_all(struct tu__queue *q, int32_t outcome, struct tu__place *list)
{
    for (struct tu__place *p; (p = tu__queue_pop(q));)
        if (tu__sleeper_claim(p->sleeper, outcome)) {
            p->next = list;
            list = p;
        }
    return list;
}

static void wake_all(struct tu__place *list)
{
    while (list) {
        struct tu__place *next = list->next; /* the place may be gone after the wake */
        tu__sleeper_wake(list->sleeper);
        list = next;
    }
}

/* A served conn has levels and waiters like any other: its handler may park in tu_read or tu_write. They come
 * first: once the handler is queued, another thread may run it, and close the conn. */
static void on_ready(struct pollable *self, unsigned events)
{
    struct tu_conn *c = (struct tu_conn *)self;
    if (events & POLL_HUP)
        atomic_store_explicit(&c->hangup, true, memory_order_relaxed);
    struct tu__place *list = NULL;
    tu__lock(&c->lock);
    if (events & POLL_IN) {
        atomic_store_explicit(&c->readable, true, memory_order_release);
        list = claim_all(&c->readers, CONN_READY, list);
    }
    if (events & POLL_OUT) {
        atomic_store_explicit(&c->writable, true, memory_order_release);
        list = claim_all(&c->writers, CONN_READY, list);
    }
    tu__unlock(&c->lock);
    wake_all(list);
    if (atomic_load_explicit(&c->serving, memory_order_acquire))
        tu__serve_event(c, events);
}

int tu__conn_make(tu_conn **out, int fd, uint32_t proc)
{
    if (tu__sched.proc_count == 0)
        return -ENOTSUP; /* the runtime was not started, or this is a forked child */
    struct tu_conn *c = pool_get();
    if (!c)
        return -ENOMEM;
    tu__lock(&c->lock); /* a stale event may be looking */
    c->task.run.kind = RUNNABLE_TASK;
    c->fd = fd;
    c->proc = (uint16_t)proc;
    c->closed = c->read_more = false;
    atomic_store_explicit(&c->read_expired, false, memory_order_relaxed);
    atomic_store_explicit(&c->write_expired, false, memory_order_relaxed);
    c->readers = c->writers = (struct tu__queue){0};
    atomic_store(&c->readable, true); /* the first operation tries at once */
    atomic_store(&c->writable, true);
    atomic_store(&c->hangup, false);
    atomic_store(&c->want_write, false);
    atomic_store(&c->references, 1);
    tu__unlock(&c->lock);
    atomic_store_explicit(&c->poll.ready, on_ready, memory_order_release);
    /* Without a descriptor no event ever comes: what benchmarks of a million conns use. */
    int rc = fd < 0 ? 0 : poll_add(&tu__sched.procs[proc].poll, fd, c);
    if (rc < 0) {
        pool_put(c);
        return rc;
    }
    atomic_fetch_add_explicit(&tu__sched.procs[proc].conns, 1, memory_order_relaxed);
    *out = c;
    return 0;
}

int tu_conn_from_fd(tu_conn **out, int fd)
{
    int rc = socket_nonblocking(fd);
    return rc < 0 ? rc : tu__conn_make(out, fd, tu__proc_index());
}

int tu_conn_fd(const tu_conn *conn)
{
    return conn->fd;
}

const char *tu_net_backend(void)
{
    return tu__sched.proc_count ? poll_backend(&tu__sched.procs[0].poll) : "none";
}

bool tu__conn_enter(tu_conn *c)
{
    /* Not from 0: a call that comes after the close must not bring it back, to be recycled twice. */
    uint32_t n = atomic_load_explicit(&c->references, memory_order_relaxed);
    do
        if (n == 0)
            return false;
    while (!atomic_compare_exchange_weak_explicit(&c->references, &n, n + 1, memory_order_acquire,
                                                  memory_order_relaxed));
    tu__lock(&c->lock);
    bool closed = c->closed;
    tu__unlock(&c->lock);
    if (closed)
        tu__conn_leave(c);
    return !closed;
}

void tu__conn_leave(tu_conn *c)
{
    if (atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) == 1)
        tu__conn_recycle(c);
}

static void stop_deadlines(tu_conn *c)
{
    if (!c->deadlines)
        return;
    (void)tu__timer_stop(&c->deadlines->read);
    (void)tu__timer_stop(&c->deadlines->write);
}

void tu__conn_recycle(tu_conn *c)
{
    stop_deadlines(c);
    int fd = c->fd;
    c->fd = -1;
    atomic_fetch_sub_explicit(&tu__sched.procs[c->proc].conns, 1, memory_order_relaxed);
    poll_remove(&tu__sched.procs[c->proc].poll, fd);
    (void)socket_close(fd);
    pool_put(c);
}

void tu_close(tu_conn *c)
{
    tu_check(!atomic_load(&c->serving), "tu_close of a conn that tu_serve owns");
    tu__lock(&c->lock);
    tu_check(!c->closed, "tu_close of a closed conn");
    c->closed = true;
    struct tu__place *list = claim_all(&c->readers, CONN_CLOSED, NULL);
    list = claim_all(&c->writers, CONN_CLOSED, list);
    tu__unlock(&c->lock);
    wake_all(list);
    tu__conn_leave(c);
}

static int outcome_error(int32_t outcome)
{
    switch (outcome) {
    case CONN_READY: return 0;
    case CONN_CLOSED: return -EBADF;
    case CONN_EXPIRED: return -ETIMEDOUT;
    default: return outcome; /* the context's */
    }
}

/* Without the lock it is a hint: a call that starts with it looks again under the lock. */
static bool expired(const tu_conn *c, bool for_read)
{
    return atomic_load_explicit(for_read ? &c->read_expired : &c->write_expired,
                                memory_order_relaxed);
}

static void set_expired(tu_conn *c, bool for_read, bool value)
{
    atomic_store_explicit(for_read ? &c->read_expired : &c->write_expired, value,
                          memory_order_relaxed);
}

int tu__conn_wait(tu_conn *c, bool for_read)
{
    struct tu__queue *queue = for_read ? &c->readers : &c->writers;
    struct tu__sleeper sleeper;
    struct tu__place place = {.sleeper = &sleeper, .outcome = CONN_READY};
    struct tu__cancel *cancel = tu__cancel_current();
    tu__lock(&c->lock);
    int rc = 0;
    if (c->closed)
        rc = -EBADF;
    else if (expired(c, for_read))
        rc = -ETIMEDOUT;
    else if (cancel)
        rc = tu__cancel_error(cancel);
    if (rc < 0 ||
        atomic_load_explicit(for_read ? &c->readable : &c->writable, memory_order_acquire)) {
        tu__unlock(&c->lock);
        return rc;
    }
    tu__sleeper_init_for(&sleeper, cancel != NULL, c);
    tu__queue_push(queue, &place);
    enum tu__wait why = for_read ? TU__WAIT_READ : TU__WAIT_WRITE;
    if (!cancel)
        return outcome_error(tu__sleeper_park_lock(&sleeper, &c->lock, why));
    tu__unlock(&c->lock);
    struct tu__place ending = {.sleeper = &sleeper};
    rc = tu__cancel_watch(cancel, &ending);
    if (rc < 0 && tu__sleeper_claim(&sleeper, rc))
        tu__sleeper_wake(&sleeper); /* ended just now: the park below returns at once */
    int32_t outcome = tu__sleeper_park(&sleeper, NULL, NULL, why);
    if (rc == 0)
        tu__cancel_unwatch(cancel, &ending);
    tu__lock(&c->lock);
    if (place.queued)
        tu__queue_remove(queue, &place);
    tu__unlock(&c->lock);
    return outcome_error(outcome);
}

/* Waits for the level and takes it. */
static int take_level(tu_conn *c, bool for_read)
{
    _Atomic bool *level = for_read ? &c->readable : &c->writable;
    bool late = expired(c, for_read);
    while (late || !atomic_exchange_explicit(level, false, memory_order_acquire)) {
        int rc = tu__conn_wait(c, for_read);
        if (rc < 0)
            return rc;
        late = false;
    }
    return 0;
}

ssize_t tu_read(tu_conn *c, void *buffer, size_t size)
{
    if (!tu__conn_enter(c))
        return -EBADF;
    ssize_t n;
    do {
        n = take_level(c, true);
        if (n < 0)
            break;
        n = socket_read(c->fd, buffer, size);
        if (n == 0 || n == (ssize_t)size || atomic_load_explicit(&c->hangup, memory_order_relaxed))
            atomic_store_explicit(&c->readable, true, memory_order_release);
    } while (n == -EAGAIN);
    tu__conn_leave(c);
    return n;
}

/* One write call; the level is put back when everything was taken. */
static ssize_t write_some(tu_conn *c, const struct iovec *vec, int count)
{
    ssize_t n = take_level(c, false);
    if (n < 0)
        return n;
    size_t wanted = 0;
    for (int i = 0; i < count; i++)
        wanted += vec[i].iov_len;
    n = count == 1 ? socket_write(c->fd, vec[0].iov_base, vec[0].iov_len)
                   : socket_writev(c->fd, vec, count);
    if (n == (ssize_t)wanted || (n < 0 && n != -EAGAIN) ||
        atomic_load_explicit(&c->hangup, memory_order_relaxed))
        atomic_store_explicit(&c->writable, true, memory_order_release);
    return n;
}

ssize_t tu_writev(tu_conn *c, const struct iovec *vec, int count)
{
    enum { WINDOW = 64 };
    struct iovec window[WINDOW];
    if (!tu__conn_enter(c))
        return -EBADF;
    size_t total = 0, skip = 0; /* bytes sent; of vec[first] already */
    int first = 0;
    ssize_t n = 0;
    while (first < count) {
        int k = 0;
        for (; k < WINDOW && first + k < count; k++)
            window[k] = vec[first + k];
        window[0].iov_base = (char *)window[0].iov_base + skip;
        window[0].iov_len -= skip;
        n = write_some(c, window, k);
        if (n == -EAGAIN)
            continue;
        if (n < 0)
            break;
        total += (size_t)n;
        skip += (size_t)n;
        while (first < count && skip >= vec[first].iov_len)
            skip -= vec[first++].iov_len;
    }
    tu__conn_leave(c);
    return n < 0 ? n : (ssize_t)total;
}

ssize_t tu_write(tu_conn *c, const void *buffer, size_t size)
{
    struct iovec one = {(void *)(uintptr_t)buffer, size};
    return size == 0 ? 0 : tu_writev(c, &one, 1);
}

ssize_t tu_try_read(tu_conn *c, void *buffer, size_t size)
{
    ssize_t n = socket_read(c->fd, buffer, size);
    c->read_more = n > 0; /* with a hangup the end may be behind it */
    return n;
}

/* Asks for the next writable edge. It may have come between the write and the asking: then nobody
 * would tell, so the socket is looked at once more. */
static void want_write_after(tu_conn *c, ssize_t n, size_t wanted)
{
    if ((n >= 0 && (size_t)n == wanted) || (n < 0 && n != -EAGAIN))
        return;
    atomic_store(&c->want_write, true);
    if (socket_writable(c->fd) && atomic_exchange(&c->want_write, false))
        tu__serve_raise(c, TU_SERVE_WRITABLE);
}

ssize_t tu_try_write(tu_conn *c, const void *buffer, size_t size)
{
    ssize_t n = socket_write(c->fd, buffer, size);
    want_write_after(c, n, size);
    return n;
}

ssize_t tu_try_writev(tu_conn *c, const struct iovec *vec, int count)
{
    size_t wanted = 0;
    for (int i = 0; i < count; i++)
        wanted += vec[i].iov_len;
    ssize_t n = socket_writev(c->fd, vec, count);
    want_write_after(c, n, wanted);
    return n;
}

/* ---- deadlines ---- */

static void expire(tu_conn *c, bool for_read)
{
    tu__lock(&c->lock);
    set_expired(c, for_read, true);
    struct tu__place *list = claim_all(for_read ? &c->readers : &c->writers, CONN_EXPIRED, NULL);
    tu__unlock(&c->lock);
    wake_all(list);
}

static void fire_read(struct tu__timer *t, void *conn)
{
    (void)t;
    expire(conn, true);
}

static void fire_write(struct tu__timer *t, void *conn)
{
    (void)t;
    expire(conn, false);
}

static struct conn_deadlines *deadlines_of(tu_conn *c)
{
    struct conn_deadlines *made = c->deadlines ? NULL : tu_alloc_zeroed(sizeof *made);
    tu__lock(&c->lock);
    if (!c->deadlines) {
        tu_check(made, "out of memory for a deadline");
        c->deadlines = made;
        made = NULL;
    }
    tu__unlock(&c->lock);
    tu_free(made);
    return c->deadlines;
}

static void set_deadline(tu_conn *c, int64_t deadline_ns, bool for_read)
{
    if (!tu__conn_enter(c))
        return;
    struct conn_deadlines *d = deadlines_of(c);
    struct tu__timer *timer = for_read ? &d->read : &d->write;
    tu__lock(&d->lock);
    (void)tu__timer_stop(timer);
    tu__lock(&c->lock);
    set_expired(c, for_read, false);
    tu__unlock(&c->lock);
    if (deadline_ns != 0) {
        if (deadline_ns <= clock_monotonic_ns())
            expire(c, for_read);
        else
            tu__timer_start(timer, deadline_ns, for_read ? fire_read : fire_write, c);
    }
    tu__unlock(&d->lock);
    tu__conn_leave(c);
}

void tu_set_read_deadline(tu_conn *conn, int64_t deadline_ns)
{
    set_deadline(conn, deadline_ns, true);
}

void tu_set_write_deadline(tu_conn *conn, int64_t deadline_ns)
{
    set_deadline(conn, deadline_ns, false);
}
