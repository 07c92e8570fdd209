/* ambient_test.c - every call of libtuco that waits, and what the end of the current context does to it:
 * the table in HACKING.md, "What the end of a context does", as a test. A new blocking call gets a row.
 *
 * Each row waits for something that never comes, on a goroutine and on a plain thread, and must give the
 * context's error when that is cancelled, when its deadline passes, and when it has ended before.
 */
#include "support/testing.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tuco.h>
#include <unistd.h>

enum { AFTER_MS = 30 };

/* ---- what the rows wait for ---- */

static struct {
    tu_channel *empty, *full;
    tu_context *other;
    struct tu_wait_group group;
    struct tu_mutex mutex;
    struct tu_condition condition;
    tu_listener *listener;
    tu_conn *silent, *stuffed;
    char dead_address[32];
    tu_file *pipe;
    atomic_bool let_go;
} world;

typedef int (*getaddrinfo_fn)(const char *, const char *, const struct addrinfo *,
                              struct addrinfo **);

/* In the place of the C library's: a name server that does not answer. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **out)
{
    while (host && strcmp(host, "silent.test") == 0 && !(hints->ai_flags & AI_NUMERICHOST) &&
           !atomic_load(&world.let_go))
        usleep(5000);
    return ((getaddrinfo_fn)dlsym(RTLD_NEXT, "getaddrinfo"))(host, port, hints, out);
}

static void until_let_go(void *arg)
{
    while (!atomic_load(&world.let_go))
        usleep(5000);
}

static int port_of(int fd)
{
    struct sockaddr_in in;
    socklen_t size = sizeof in;
    REQUIRE(getsockname(fd, (struct sockaddr *)&in, &size) == 0);
    return ntohs(in.sin_port);
}

/* A port that answers no SYN: its backlog is full and nobody accepts. */
static void make_dead_address(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(bind(fd, (struct sockaddr *)&in, sizeof in) == 0 && listen(fd, 0) == 0);
    in.sin_port = htons((uint16_t)port_of(fd));
    for (int i = 0; i < 3; i++) {
        int filler = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(filler, (struct sockaddr *)&in, sizeof in);
        usleep(2000);
    }
    snprintf(world.dead_address, sizeof world.dead_address, "127.0.0.1:%d", ntohs(in.sin_port));
}

static void occupy_the_thread(void)
{
    CHECK_EQ(tu_blocking_call(until_let_go, NULL), 0);
}

static void make_world(void)
{
    int pair[2], ends[2];
    char block[4096] = "";
    world.empty = tu_channel_make(4, 0);
    world.full = tu_channel_make(4, 1);
    CHECK_EQ(tu_channel_send(world.full, block), 0);
    world.other = tu_with_cancel(NULL);
    tu_wait_group_add(&world.group, 1);
    REQUIRE(tu_listen(&world.listener, "127.0.0.1:0", NULL) == 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    REQUIRE(tu_conn_from_fd(&world.stuffed, pair[1]) == 0);
    while (tu_try_write(world.stuffed, block, sizeof block) > 0) {
    }
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    REQUIRE(tu_conn_from_fd(&world.silent, pair[0]) == 0);
    make_dead_address();
    REQUIRE(pipe(ends) == 0);
    REQUIRE(tu_file_from_fd(&world.pipe, ends[0]) == 0);
    CHECK_EQ(tu_go(occupy_the_thread), 0);
    (void)tu_sleep(20 * TU_MS);
}

/* ---- the rows ---- */

static int call_sleep(void)
{
    return tu_sleep(3600 * TU_S);
}

static int call_send(void)
{
    return tu_channel_send(world.empty, "1234");
}

static int call_send_full(void)
{
    return tu_channel_send(world.full, "1234");
}

static int call_recv(void)
{
    int v;
    return tu_channel_recv(world.empty, &v);
}

static int call_null_channel(void)
{
    int v;
    return tu_channel_recv(NULL, &v);
}

static int call_selectv(void)
{
    int v;
    struct tu_select_case cases[] = {
        {.kind = TU_SELECT_RECV, .channel = world.empty, .element = &v},
        {.kind = TU_SELECT_SEND, .channel = world.full, .element = &v},
        {.kind = TU_SELECT_AFTER, .after_ns = 3600 * TU_S},
    };
    return (int)tu_selectv(cases, 3);
}

static int call_select_empty(void)
{
    return (int)tu_selectv(NULL, 0);
}

static int call_select_on_cancel(void)
{
    tu_select() {
        tu_on_recv((tu_chan(int))(uintptr_t)world.empty, v) {
            return v;
        }
        tu_on_cancel(error)
        {
            return error;
        }
    }
    return 1;
}

static int call_context_wait(void)
{
    return tu_context_wait(world.other);
}

static int call_wait_group(void)
{
    return tu_wait_group_wait(&world.group);
}

static int call_condition(void)
{
    tu_mutex_lock(&world.mutex);
    int rc = tu_condition_wait(&world.condition, &world.mutex);
    tu_mutex_unlock(&world.mutex); /* held again: else this aborts */
    return rc;
}

static int sleeping_child(void)
{
    return tu_sleep(3600 * TU_S);
}

/* The scope's children hear of it; the wait itself ends with the last of them. */
static int call_scope(void)
{
    int rc = 0;
    tu_scope(s) {
        tu_scope_go(&s, sleeping_child);
        rc = tu_scope_wait(&s);
    }
    return rc;
}

static int call_accept(void)
{
    tu_conn *c;
    return tu_accept(world.listener, &c);
}

static int call_dial(void)
{
    tu_conn *c;
    return tu_dial(&c, world.dead_address);
}

static int call_dial_name(void)
{
    tu_conn *c;
    return tu_dial(&c, "silent.test:80");
}

static int call_listen_name(void)
{
    tu_listener *l;
    return tu_listen(&l, "silent.test:80", NULL);
}

static int call_resolve(void)
{
    struct tu_address a;
    return tu_resolve("silent.test:80", &a, 1);
}

static int call_read(void)
{
    char byte;
    return (int)tu_read(world.silent, &byte, 1);
}

static int call_write(void)
{
    return (int)tu_write(world.stuffed, "x", 1);
}

static int call_writev(void)
{
    struct iovec vec[2] = {{"x", 1}, {"y", 1}};
    return (int)tu_writev(world.stuffed, vec, 2);
}

static int call_file_read(void)
{
    char byte;
    return (int)tu_file_read(world.pipe, &byte, 1);
}

static int call_blocking_call(void)
{
    return tu_blocking_call(until_let_go, NULL); /* its only thread is occupied */
}

enum { THREADS_TOO = 1, RING_ONLY = 2 };
static const struct row {
    const char *name;
    int (*call)(void);
    unsigned flags;
} rows[] = {
    {"tu_sleep", call_sleep, THREADS_TOO},
    {"tu_send, nobody receives", call_send, THREADS_TOO},
    {"tu_send, full", call_send_full, THREADS_TOO},
    {"tu_recv", call_recv, THREADS_TOO},
    {"tu_recv of a null channel", call_null_channel, THREADS_TOO},
    {"tu_selectv", call_selectv, THREADS_TOO},
    {"tu_selectv without cases", call_select_empty, THREADS_TOO},
    {"tu_select with tu_on_cancel", call_select_on_cancel, THREADS_TOO},
    {"tu_context_wait", call_context_wait, THREADS_TOO},
    {"tu_wait_group_wait", call_wait_group, THREADS_TOO},
    {"tu_condition_wait", call_condition, THREADS_TOO},
    {"tu_scope_wait, by its children", call_scope, THREADS_TOO},
    {"tu_accept", call_accept, THREADS_TOO},
    {"tu_dial", call_dial, THREADS_TOO},
    {"tu_dial of a name", call_dial_name, THREADS_TOO},
    {"tu_listen on a name", call_listen_name, THREADS_TOO},
    {"tu_resolve", call_resolve, THREADS_TOO},
    {"tu_read", call_read, THREADS_TOO},
    {"tu_write", call_write, THREADS_TOO},
    {"tu_writev", call_writev, THREADS_TOO},
    {"tu_file_read", call_file_read, RING_ONLY}, /* on threads: tu_file_test.c */
    {"tu_blocking_call that waits for a thread", call_blocking_call, THREADS_TOO},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* ---- running one ---- */

struct run {
    const struct row *row;
    tu_context *ctx;
    int rc;
    int64_t took_ns;
    atomic_bool done;
};

static void run_row(struct run *r)
{
    int64_t began = tu_now();
    tu_in_context(r->ctx) {
        r->rc = r->row->call();
    }
    r->took_ns = tu_now() - began;
    atomic_store(&r->done, true);
}

static void *run_row_on_thread(void *arg)
{
    run_row(arg);
    return NULL;
}

enum ending { CANCELLED, TIMED, BEFORE };

static void check_row(const struct row *row, enum ending ending, bool on_thread)
{
    static const int expected[] = {-ECANCELED, -ETIMEDOUT, -ESTALE};
    struct run r = {.row = row};
    int64_t began = tu_now();
    r.ctx = ending == TIMED ? tu_with_timeout(NULL, AFTER_MS * TU_MS) : tu_with_cancel(NULL);
    if (ending == BEFORE)
        tu_context_cancel(r.ctx, -ESTALE); /* any cause is passed on */
    pthread_t thread;
    if (on_thread)
        REQUIRE(pthread_create(&thread, NULL, run_row_on_thread, &r) == 0);
    else
        CHECK_EQ(tu_go(run_row, &r), 0);
    if (ending == CANCELLED) {
        (void)tu_sleep(AFTER_MS * TU_MS);
        CHECK(!atomic_load(&r.done)); /* it waits, or the row tests nothing */
        tu_context_cancel(r.ctx, -ECANCELED);
    }
    for (int i = 0; i < 2000 && !atomic_load(&r.done); i++)
        (void)tu_sleep(2 * TU_MS);
    if (!atomic_load(&r.done)) {
        test_fail(__FILE__, __LINE__, "%s does not hear of its context's end (%d)", row->name,
                  ending);
        test_fail_now();
    }
    if (on_thread)
        pthread_join(thread, NULL);
    if (r.rc != expected[ending])
        test_fail(__FILE__, __LINE__, "%s gives %d, expected %d", row->name, r.rc,
                  expected[ending]);
    if (ending == TIMED && tu_now() - began < AFTER_MS * TU_MS)
        test_fail(__FILE__, __LINE__, "%s did not wait", row->name);
    tu_context_release(r.ctx);
}

static void check_rows(enum ending ending, bool on_thread)
{
    struct tu_options one_thread = {.blocking_calls = 1};
    REQUIRE(tu_start(&one_thread) == 0);
    make_world();
    bool ring = strcmp(tu_file_backend(), "io_uring") == 0;
    for (int i = 0; i < ROWS; i++) {
        if ((on_thread && !(rows[i].flags & THREADS_TOO)) || (!ring && (rows[i].flags & RING_ONLY)))
            continue;
        check_row(&rows[i], ending, on_thread);
    }
    atomic_store(&world.let_go, true);
}

TEST(ambient, cancelled)
{
    check_rows(CANCELLED, false);
}

TEST(ambient, timed_out)
{
    check_rows(TIMED, false);
}

TEST(ambient, ended_before)
{
    check_rows(BEFORE, false);
}

TEST(ambient, cancelled_on_a_plain_thread)
{
    check_rows(CANCELLED, true);
}

TEST(ambient, timed_out_on_a_plain_thread)
{
    check_rows(TIMED, true);
}

TEST(ambient, ended_before_on_a_plain_thread)
{
    check_rows(BEFORE, true);
}

/* ---- what is not cut short ---- */

static struct tu_mutex held_mutex;
static struct tu_rwmutex held_rw;
static struct tu_once slow_once;
static atomic_int phase;

static void hold_everything(void *arg)
{
    tu_mutex_lock(&held_mutex);
    tu_rwmutex_lock(&held_rw);
    atomic_store(&phase, 1);
    (void)tu_sleep(3 * AFTER_MS * TU_MS);
    atomic_store(&phase, 2);
    tu_rwmutex_unlock(&held_rw);
    tu_mutex_unlock(&held_mutex);
}

static void lock_mutex(void)
{
    tu_mutex_lock(&held_mutex);
    CHECK_EQ(atomic_load(&phase), 2);
    tu_mutex_unlock(&held_mutex);
}

static void lock_read(void)
{
    tu_rwmutex_rlock(&held_rw);
    CHECK_EQ(atomic_load(&phase), 2);
    tu_rwmutex_runlock(&held_rw);
}

static void lock_write(void)
{
    tu_rwmutex_lock(&held_rw);
    CHECK_EQ(atomic_load(&phase), 2);
    tu_rwmutex_unlock(&held_rw);
}

static void wait_once(void)
{
    tu_once(&slow_once, hold_everything, NULL);
    CHECK_EQ(atomic_load(&phase), 2);
}

/* Locks and tu_once return only with what they are for, whatever happens to the context meanwhile. */
GO_TEST(ambient, locks_are_not_cut_short)
{
    static void (*const calls[])(void) = {lock_mutex, lock_read, lock_write, wait_once};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        atomic_store(&phase, 0);
        if (calls[i] == wait_once)
            CHECK_EQ(tu_go(tu_once, &slow_once, hold_everything, NULL), 0);
        else
            CHECK_EQ(tu_go(hold_everything, NULL), 0);
        while (atomic_load(&phase) == 0)
            tu_yield();
        tu_context *ctx = tu_with_timeout(NULL, AFTER_MS * TU_MS);
        tu_in_context(ctx) {
            calls[i]();
            CHECK_EQ(tu_context_error(ctx), -ETIMEDOUT);
            tu_yield();
        }
        tu_context_release(ctx);
    }
}
