/* deadlock_test.c - programs in which nobody is left to wake anybody are told so, and no others. */
#include "runtime/sched/fiber.h"
#include "support/child.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <tuco.h>

static struct child child;
static struct tu_mutex mutex;
static struct tu_rwmutex rwmutex;
static struct tu_wait_group group;
static struct tu_condition condition;

static void receive(tu_chan(int) c)
{
    int v;
    (void)!tu_recv(c, &v);
    atomic_signal_fence(memory_order_seq_cst);
}

/* ---- deadlocks ---- */

static void on_channel(void *unused)
{
    receive(tu_make_chan(int, 0));
}

static void on_full_channel(void *unused)
{
    tu_chan(int) c = tu_make_chan(int, 1);
    (void)!tu_send(c, 1);
    (void)!tu_send(c, 2);
}

static void on_null_channel(void *unused)
{
    receive(NULL);
}

static void on_mutex(void *unused)
{
    tu_mutex_lock(&mutex);
    tu_mutex_lock(&mutex);
}

static void on_rwmutex(void *unused)
{
    tu_rwmutex_rlock(&rwmutex);
    tu_rwmutex_lock(&rwmutex);
}

static void on_wait_group(void *unused)
{
    tu_wait_group_add(&group, 1);
    (void)!tu_wait_group_wait(&group);
}

static void on_condition(void *unused)
{
    tu_mutex_lock(&mutex);
    (void)!tu_condition_wait(&condition, &mutex);
}

static void on_empty_select(void *unused)
{
    tu_select() {
    }
}

static void on_select(void *unused)
{
    tu_chan(int) a = tu_make_chan(int, 0), b = tu_make_chan(int, 0);
    tu_select() {
        tu_on_recv(a, v)
            (void)v;
        tu_on_send(b, 1) {
        }
    }
}

static void on_scope(void *unused)
{
    tu_chan(int) c = tu_make_chan(int, 0);
    tu_scope(s)
        tu_scope_go(&s, receive, c);
}

static void finishes(struct tu_wait_group *g)
{
    tu_yield();
    tu_wait_group_done(g);
}

/* Work was done, timers fired, and a descriptor was used and is still open: then nothing is left. */
static void after_others(void *unused)
{
    static struct tu_wait_group g;
    int ends[2];
    tu_conn *conn;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    REQUIRE(tu_conn_from_fd(&conn, ends[0]) == 0);
    (void)!tu_write(conn, "x", 1);
    tu_wait_group_add(&g, 1000);
    for (int i = 0; i < 1000; i++)
        (void)tu_go(finishes, &g);
    (void)!tu_wait_group_wait(&g);
    (void)!tu_sleep(20 * TU_MS);
    receive(tu_make_chan(int, 0));
}

static void each_other(tu_chan(int) a, tu_chan(int) b)
{
    receive(a);
    (void)!tu_send(b, 1);
}

static void ring_of_two(void *unused)
{
    tu_chan(int) a = tu_make_chan(int, 0), b = tu_make_chan(int, 0);
    (void)tu_go_named("other", each_other, a, b);
    each_other(b, a);
}

static void after_a_thread(void *unused)
{
    static pthread_t thread;
    static tu_chan(int) c;
    c = tu_make_chan(int, 0);
    REQUIRE(pthread_create(&thread, NULL, (void *(*)(void *))(void *)tu_yield, NULL) == 0);
    (void)pthread_detach(thread);
    receive(c);
}

static const struct {
    const char *name;
    void (*run)(void *unused);
    const char *says;
} deadlocks[] = {
    {"channel", on_channel, "[chan receive, "},
    {"full channel", on_full_channel, "[chan send, "},
    {"null channel", on_null_channel, "[nothing, for ever, "},
    {"mutex", on_mutex, "[mutex, "},
    {"rwmutex", on_rwmutex, "[rwmutex (write), "},
    {"wait group", on_wait_group, "[wait group, "},
    {"condition", on_condition, "[condition, "},
    {"empty select", on_empty_select, "[nothing, for ever, "},
    {"select", on_select, "[select, "},
    {"scope", on_scope, "[scope, "},
    {"after others have finished", after_others, "[chan receive, "},
    {"two wait for each other", ring_of_two, "[chan receive, "},
    {"after a thread has ended", after_a_thread, "[chan receive, "},
};
static void (*program)(void *unused);

static void run_program(void)
{
    (void)!tu_main(NULL, program, NULL);
    _exit(9);
}

TIMEOUT_TEST(deadlock, is_reported, 120)
{
#ifdef TU__TSAN
    return; /* its own thread counts as one that may wake somebody */
#endif
    for (size_t i = 0; i < sizeof deadlocks / sizeof *deadlocks; i++) {
        program = deadlocks[i].run;
        child_run(&child, run_program);
        const char *const expected[] = {"tuco: all goroutines are asleep - deadlock!\n",
                                        "goroutine ", "\"main\" ", deadlocks[i].says, NULL};
        const char *lacks = child_lacks(&child, expected);
        if (lacks || !WIFEXITED(child.status) || WEXITSTATUS(child.status) != 2)
            test_fail(__FILE__, __LINE__, "%s: status %x, lacks %s:\n%s", deadlocks[i].name,
                      (unsigned)child.status, lacks, child.text);
    }
}

static void prints_first(void *unused)
{
    printf("kept\n");
    receive(NULL);
}

static void stdout_is_stderr(void)
{
    (void)dup2(2, 1);
    (void)setvbuf(stdout, NULL, _IOFBF, 4096);
    program = prints_first;
    run_program();
}

/* What the program has printed so far is not lost in stdio's buffer. */
TEST(deadlock, stdout_is_flushed)
{
#ifdef TU__TSAN
    return;
#endif
    child_run(&child, stdout_is_stderr);
    CHECK(strstr(child.text, "kept\n") != NULL);
    CHECK(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 2);
}

/* ---- not deadlocks: each would be one if something from outside did not come, and comes to an end by itself ---- */

enum { LATER_US = 1500000 }; /* longer than the monitor's longest sleep */

static void ends_well(void)
{
    fprintf(stderr, "done\n");
    _exit(0);
}

static void sleeping(void *unused)
{
    (void)!tu_sleep((int64_t)LATER_US * 1000);
    ends_well();
}

static void select_with_timeout(void *unused)
{
    tu_select() {
        tu_on_after((int64_t)LATER_US * 1000)
            ends_well();
    }
}

static void context_with_deadline(void *unused)
{
    tu_context *ctx = tu_with_timeout(NULL, (int64_t)LATER_US * 1000);
    tu_defer(tu_cancel, ctx);
    tu_in_context(ctx)
        receive(NULL);
    ends_well();
}

static tu_chan(int) chan;

static void *send_later(void *unused)
{
    usleep(LATER_US);
    (void)!tu_send(chan, 1);
    return NULL;
}

static void foreign_thread(void *unused)
{
    pthread_t thread;
    chan = tu_make_chan(int, 0);
    REQUIRE(pthread_create(&thread, NULL, send_later, NULL) == 0);
    (void)pthread_detach(thread);
    receive(chan);
    ends_well();
}

static void blocking_call(void)
{
    tu_blocking_begin();
    usleep(LATER_US);
    tu_blocking_end();
    (void)!tu_send(chan, 1);
}

static void foreign_code(void *unused)
{
    chan = tu_make_chan(int, 0);
    (void)tu_go(blocking_call);
    receive(chan);
    ends_well();
}

static void computing(void)
{
    for (int64_t end = tu_now() + (int64_t)LATER_US * 1000; tu_now() < end;) {
    }
    (void)!tu_send(chan, 1);
}

static void hog(void *unused)
{
    chan = tu_make_chan(int, 0);
    (void)tu_go(computing);
    receive(chan);
    ends_well();
}

static void accept_one(tu_listener *l)
{
    tu_conn *conn;
    (void)!tu_accept(l, &conn);
}

static void listener(void *unused)
{
    tu_listener *l;
    REQUIRE(tu_listen(&l, "127.0.0.1:0", NULL) == 0);
    if (fork() == 0) { /* another process connects */
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        (void)getsockname(tu_listener_fd(l), (struct sockaddr *)&address, &size);
        usleep(LATER_US);
        int fd = socket(address.ss_family, SOCK_STREAM, 0);
        _exit(connect(fd, (struct sockaddr *)&address, size) != 0);
    }
    accept_one(l);
    ends_well();
}

static enum tu_serve_next serve(tu_conn *c, unsigned events, void *state)
{
    char bytes[8];
    if (tu_try_read(c, bytes, sizeof bytes) > 0)
        (void)!tu_send(chan, 1);
    return TU_SERVE_WAIT;
}

static void served_conn(void *unused)
{
    int ends[2];
    tu_conn *conn;
    chan = tu_make_chan(int, 1);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    if (fork() == 0) {
        usleep(LATER_US);
        ssize_t n = write(ends[1], "x", 1);
        usleep(LATER_US);
        _exit(n != 1);
    }
    REQUIRE(tu_conn_from_fd(&conn, ends[0]) == 0);
    struct tu_serve_options options = {.handler = serve};
    REQUIRE(tu_serve(conn, &options) == 0);
    receive(chan);
    ends_well();
}

static void end_from_handler(int number)
{
    ends_well();
}

static void signal_handler(void *unused)
{
    (void)signal(SIGALRM, end_from_handler);
    (void)alarm(2);
    receive(NULL);
}

static const struct {
    const char *name;
    void (*run)(void *unused);
} others[] = {
    {"a sleep", sleeping},
    {"a select with a timeout", select_with_timeout},
    {"a context with a deadline", context_with_deadline},
    {"a foreign thread", foreign_thread},
    {"a blocking call", foreign_code},
    {"a computation", hog},
    {"a listener", listener},
    {"a served connection", served_conn},
    {"a signal's handler", signal_handler},
};

TIMEOUT_TEST(deadlock, not_reported, 120)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        program = others[i].run;
        child_run(&child, run_program);
        if (!strstr(child.text, "done\n") || !WIFEXITED(child.status) ||
            WEXITSTATUS(child.status) != 0)
            test_fail(__FILE__, __LINE__, "%s: status %x:\n%s", others[i].name,
                      (unsigned)child.status, child.text);
    }
}

/* A program that has left its main function, or never had one, may wait for what it likes. */
static void leaves_others(void *unused)
{
    (void)tu_go(receive, (tu_chan(int))NULL);
    tu_yield();
}

static void main_goes_on(void)
{
    (void)!tu_main(NULL, leaves_others, NULL);
    usleep(LATER_US);
    ends_well();
}

static void embedded(void)
{
    REQUIRE(tu_start(NULL) == 0);
    (void)tu_go(receive, (tu_chan(int))NULL);
    usleep(LATER_US);
    ends_well();
}

TEST(deadlock, not_reported_outside_tu_main)
{
    child_run(&child, main_goes_on);
    CHECK(strcmp(child.text, "done\n") == 0);
    child_run(&child, embedded);
    CHECK(strcmp(child.text, "done\n") == 0);
}
