/* fork_test.c - forks beside a running scheduler, and calls without one. */
#include <tuco.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/mem/sanitizer.h"
#include "support/testing.h"

/* Without keeping a thread for as long as the child takes. */
static int reap(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0)
        (void)tu_sleep(200 * TU_US);
    return status;
}

/* ---- fork and exec ---- */

static int run_shell(const char *command)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(99);
    }
    return pid < 0 ? -1 : reap(pid);
}

static int exec_child(int code)
{
    char command[32];
    snprintf(command, sizeof command, "exit %d", code);
    int status = run_shell(command);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), code);
    return 0;
}

static void yield_until(atomic_bool *stop)
{
    while (!atomic_load(stop)) {
        tu_free(tu_alloc(100));
        tu_yield();
    }
}

GO_TEST(fork, exec_from_goroutines)
{
    atomic_bool stop = false;
    tu_scope(s) {
        tu_scope_go(&s, yield_until, &stop);
        tu_scope(children) {
            for (int i = 1; i <= 12; i++)
                tu_scope_go(&children, exec_child, i);
        }
        atomic_store(&stop, true);
    }
    CHECK_EQ(tu_sleep(TU_MS), 0); /* and the parent's scheduler goes on */
}

/* A goroutine's thread blocks signals; what a child executes must not find them blocked. */
GO_TEST(fork, executed_program_hears_signals)
{
    int status = run_shell("kill -TERM $$; exit 3");
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGTERM);
}

/* ---- what a child must not do ---- */

static char said[1024];

/* Forks, runs `act` in the child with its stderr caught in `said`, and returns its status. */
static int in_child(void (*act)(void))
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        alarm(20);
        act();
        _exit(0);
    }
    close(ends[1]);
    size_t size = 0;
    for (ssize_t n; (n = read(ends[0], said + size, sizeof said - 1 - size)) > 0;)
        size += (size_t)n;
    said[size] = 0;
    close(ends[0]);
    return reap(pid);
}

static void explains(void (*act)(void), const char *text)
{
    int status = in_child(act);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (!strstr(said, text))
        test_fail(__FILE__, __LINE__, "the child said \"%s\", not \"%s\"", said, text);
}

static void nothing(void) {}

static tu_channel *empty;

static void starts(void)
{
    (void)tu_go(nothing);
}
static void yields(void)
{
    tu_yield();
}
static void sleeps(void)
{
    (void)!tu_sleep(TU_MS);
}
static void receives(void)
{
    int v;
    (void)!tu_channel_recv(empty, &v);
}
static void arms_a_timer(void)
{
    (void)tu_timer_make(TU_MS);
}
static void sends_to_a_goroutine(void)
{
    int v = 1;
    (void)!tu_channel_send(empty, &v);
}

GO_TEST(fork, child_of_a_goroutine_explains_itself)
{
    empty = tu_channel_make(sizeof(int), 0);
    explains(starts, "in a forked child, which has no scheduler");
    explains(yields, "forked child");
    explains(sleeps, "forked child");
    explains(receives, "forked child");
    explains(arms_a_timer, "forked child");
    tu_channel_free(empty);
}

static void fork_and_return(int *status, int *write_end, atomic_bool *done)
{
    pid_t pid = fork();
    if (pid == 0) {
        dup2(*write_end, STDERR_FILENO);
        alarm(20);
        return; /* the mistake */
    }
    *status = reap(pid);
    atomic_store(done, true);
}

GO_TEST(fork, child_that_returns_explains_itself)
{
    int ends[2], status = 0;
    atomic_bool done = false;
    REQUIRE(pipe(ends) == 0);
    REQUIRE(tu_go(fork_and_return, &status, &ends[1], &done) == 0);
    while (!atomic_load(&done))
        CHECK_EQ(tu_sleep(TU_MS), 0);
    ssize_t n = read(ends[0], said, sizeof said - 1);
    said[n > 0 ? n : 0] = 0;
    CHECK(strstr(said, "forked child"));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    close(ends[0]);
    close(ends[1]);
}

static void wait_for_one(atomic_int *waiting)
{
    int v;
    atomic_fetch_add(waiting, 1);
    CHECK_EQ(tu_channel_recv(empty, &v), 0);
    atomic_fetch_sub(waiting, 1);
}

TEST(fork, child_of_a_plain_thread_explains_itself)
{
    atomic_int waiting = 0;
    REQUIRE(tu_start(NULL) == 0);
    empty = tu_channel_make(sizeof(int), 0);
    REQUIRE(tu_go(wait_for_one, &waiting) == 0);
    while (atomic_load(&waiting) == 0)
        usleep(1000);
    usleep(20000); /* it is parked by now */
    explains(starts, "tu_go in a forked child");
    explains(arms_a_timer, "a timer is started in a forked child");
    explains(sends_to_a_goroutine, "a goroutine is woken in a forked child");
    int v = 5;
    CHECK_EQ(tu_channel_send(empty, &v), 0); /* in the parent all is well */
    while (atomic_load(&waiting) > 0)
        usleep(1000);
    tu_channel_free(empty);
}

/* ---- what it may do ---- */

static void asks(void)
{
    CHECK_EQ(tu_start(NULL), -ENOTSUP);
    CHECK_EQ(tu_main(NULL, NULL, NULL), -ENOTSUP);
    tu_listener *listener;
    tu_conn *conn;
    CHECK_EQ(tu_listen(&listener, "127.0.0.1:0", NULL), -ENOTSUP);
    CHECK_EQ(tu_dial(&conn, "127.0.0.1:1"), -ENOTSUP);
    CHECK_EQ(tu_maxprocs(), 0);
    CHECK_EQ(tu_goroutines(), 0);
    struct tu_mutex m = {0};
    tu_mutex_lock(&m);
    tu_mutex_unlock(&m);
    tu_channel *c = tu_channel_make(sizeof(int), 1);
    int v = 3;
    CHECK_EQ(tu_channel_send(c, &v), 0);
    CHECK_EQ(tu_channel_recv(c, &v), 0);
    tu_channel_free(c);
}

GO_TEST(fork, calls_that_return_errors)
{
    CHECK_EQ(in_child(asks), 0);
    if (said[0])
        test_fail(__FILE__, __LINE__, "the child said \"%s\"", said);
}

#if !TU__MEM_IS_MALLOC
static void *hammer_heap(void *stop)
{
    static const size_t sizes[] = {16, 100, 1000, 9000, 70000, 700000};
    void *kept[64] = {0};
    for (unsigned i = 0; !atomic_load((atomic_bool *)stop); i++) {
        tu_free(kept[i % 64]);
        kept[i % 64] = tu_alloc(sizes[i * 7 % 6]);
    }
    for (int i = 0; i < 64; i++)
        tu_free(kept[i]);
    return NULL;
}

static void uses_heap(void)
{
    void *kept[300];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 300; i++) {
            kept[i] = tu_alloc_zeroed(1 + i * i * round);
            if (!kept[i])
                _exit(1);
        }
        for (size_t i = 0; i < 300; i++)
            tu_free(kept[i]);
    }
    struct tu_mem_stats stats;
    tu_mem_stats(&stats);
}

/* Whatever the other threads did at that moment, the child's heap is whole and unlocked. */
TEST(fork, heap_works_in_the_child)
{
    atomic_bool stop = false;
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, hammer_heap, &stop);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(in_child(uses_heap), 0);
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}
#endif

/* ---- without a runtime ---- */

static void receives_for_ever(void)
{
    tu_yield();
    CHECK_EQ(tu_sleep(TU_MS), 0); /* a plain thread needs no runtime for these */
    _exit(42);
}

TEST(start, calls_before_it)
{
    tu_conn *conn;
    explains(starts, "tu_go before the runtime was started");
    explains(arms_a_timer, "a timer is started before the runtime was started");
    CHECK_EQ(tu_dial(&conn, "127.0.0.1:1"), -ENOTSUP);
    CHECK_EQ(tu_maxprocs(), 0);
    CHECK_EQ(tu_goroutines(), 0);
    CHECK(!tu_on_goroutine());
    CHECK_EQ(tu_goroutine_id(), 0);
    CHECK_EQ(WEXITSTATUS(in_child(receives_for_ever)), 42);
}

static atomic_int ran;

static void run(void)
{
    atomic_fetch_add(&ran, 1);
}

static void start_and_run(void)
{
    if (tu_start(NULL) != 0 || tu_go(run) != 0)
        _exit(1);
    while (atomic_load(&ran) == 0)
        tu_sleep(TU_MS);
}

TEST(start, twice_and_after_a_refusal)
{
    CHECK_EQ(in_child(start_and_run), 0); /* forked before: a process like any other */
    struct tu_options odd = {.stack_size = 12345};
    CHECK_EQ(tu_start(&odd), -EINVAL);
    CHECK_EQ(tu_maxprocs(), 0);
    CHECK_EQ(tu_start(NULL), 0);
    CHECK_EQ(tu_start(NULL), -EALREADY);
    CHECK_EQ(tu_main(NULL, NULL, NULL), -EALREADY);
    CHECK(tu_maxprocs() > 0);
    CHECK_EQ(tu_go(run), 0);
    while (atomic_load(&ran) == 0)
        tu_sleep(TU_MS);
}

static void *start_at_once(void *started)
{
    int rc = tu_start(NULL);
    CHECK(rc == 0 || rc == -EALREADY);
    if (rc == 0)
        atomic_fetch_add((atomic_int *)started, 1);
    return NULL;
}

TEST(start, by_several_threads_at_once)
{
    atomic_int started_by = 0;
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, start_at_once, &started_by);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&started_by), 1);
    CHECK_EQ(tu_go(run), 0);
    while (atomic_load(&ran) == 0)
        tu_sleep(TU_MS);
}
