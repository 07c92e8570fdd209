/* failure_test.c - what is said when a program does something wrong: each row in a process of its own. */
#include "support/child.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <tuco.h>

static struct tu_mutex mutex;
static struct tu_rwmutex rwmutex;
static struct tu_wait_group group;
static struct child child;

static void unlock_free_mutex(void)
{
    tu_mutex_unlock(&mutex);
}

static void runlock_free_rwmutex(void)
{
    tu_rwmutex_runlock(&rwmutex);
}

static void unlock_free_rwmutex(void)
{
    tu_rwmutex_unlock(&rwmutex);
}

static void negative_group(void)
{
    tu_wait_group_add(&group, 1);
    tu_wait_group_done(&group);
    tu_wait_group_done(&group);
}

static void close_null_channel(void)
{
    tu_chan(int) c = NULL;
    tu_close_chan(c);
}

static void close_channel_twice(void)
{
    tu_chan(int) c = tu_make_chan(int, 1);
    tu_close_chan(c);
    tu_close_chan(c);
}

static void receive(tu_chan(int) c)
{
    int v;
    (void)!tu_recv(c, &v);
}

static void free_used_channel(void)
{
    tu_chan(int) c = tu_make_chan(int, 0);
    (void)tu_go(receive, c);
    (void)!tu_sleep(10 * TU_MS);
    tu_free_chan(c);
}

static void close_conn_twice(void)
{
    int ends[2];
    tu_conn *conn;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    REQUIRE(tu_conn_from_fd(&conn, ends[0]) == 0);
    tu_close(conn);
    tu_close(conn);
}

static void use_ended_scope(void)
{
    struct tu_scope s = tu__scope_enter();
    tu__scope_leave(&s);
    (void)tu_scope_go(&s, unlock_free_mutex);
}

static void wait_for_ended_scope(void)
{
    struct tu_scope s = tu__scope_enter();
    tu__scope_leave(&s);
    (void)!tu_scope_wait(&s);
}

static void release_context_twice(void)
{
    tu_context *c = tu_with_cancel(NULL);
    tu_context_retain(c);
    tu_context_release(c);
    tu_context_release(c);
    tu_context_release(c);
}

static void park_in_blocking_call(void)
{
    tu_blocking_begin();
    (void)!tu_sleep(TU_MS);
}

static void free_twice(void)
{
    void *p = tu_alloc(1000);
    tu_free(p);
    tu_free(p);
}

static const struct {
    const char *name;
    void (*run)(void);
    const char *says;
    bool of_heap; /* under AddressSanitizer it is malloc that complains */
} misuses[] = {
    {"unlock of a free mutex", unlock_free_mutex, "tuco: unlock of an unlocked mutex, at 0x",
     false},
    {"runlock of a free rwmutex", runlock_free_rwmutex,
     "tuco: read-unlock of an rwmutex nobody has read-locked, at 0x", false},
    {"unlock of a free rwmutex", unlock_free_rwmutex, "tuco: unlock of an unlocked rwmutex, at 0x",
     false},
    {"negative wait group", negative_group, "tuco: the counter of the wait group at 0x", false},
    {"close of no channel", close_null_channel, "tuco: tu_close_chan: close of a null channel",
     false},
    {"close of a closed channel", close_channel_twice,
     "tuco: tu_close_chan: close of a closed channel", false},
    {"free of a used channel", free_used_channel,
     "tuco: tu_free_chan: somebody still waits on the channel", false},
    {"close of a closed conn", close_conn_twice, "tuco: tu_close of a closed conn", false},
    {"start in an ended scope", use_ended_scope, "tuco: tu_scope_go: the scope at 0x", false},
    {"wait for an ended scope", wait_for_ended_scope, "tuco: tu_scope_wait: the scope at 0x",
     false},
    {"released context", release_context_twice,
     "tuco: tu_context_release: released more often than retained", true},
    {"park in a blocking call", park_in_blocking_call,
     "tuco: a goroutine parks between tu_blocking_begin and tu_blocking_end", false},
    {"free of freed memory", free_twice, "tuco: tu_free(0x", true},
};
static size_t row;

static void bystander(void)
{
    (void)!tu_sleep(1000 * TU_S);
}

static void culprit(void)
{
    misuses[row].run();
    atomic_signal_fence(memory_order_seq_cst); /* no tail call: this frame is looked for */
}

static void misuse_main(void *unused)
{
    (void)tu_go_named("bystander", bystander);
    (void)tu_go_named("culprit", culprit);
    (void)!tu_sleep(1000 * TU_S);
}

static void run_row(void)
{
    (void)!tu_main(NULL, misuse_main, NULL);
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED_HEAP true
#else
#define SANITIZED_HEAP false
#endif

/* The report, who did it and where, everybody else; then SIGABRT. */
TEST(failure, misuse)
{
    for (row = 0; row < sizeof misuses / sizeof *misuses; row++) {
        if (misuses[row].of_heap && SANITIZED_HEAP)
            continue;
        child_run(&child, run_row);
        const char *const expected[] = {misuses[row].says,
                                        "in goroutine ",
                                        "\"culprit\" [",
                                        "started at ",
                                        "failure_test.c:",
                                        "(culprit)\n    ",
                                        "culprit+0x",
                                        "\ntuco: ",
                                        "goroutines (",
                                        "\"bystander\" [",
                                        NULL};
        const char *lacks = child_lacks(&child, expected);
        if (lacks || !WIFSIGNALED(child.status) || WTERMSIG(child.status) != SIGABRT)
            test_fail(__FILE__, __LINE__, "%s: status %x, lacks %s:\n%s", misuses[row].name,
                      (unsigned)child.status, lacks, child.text);
    }
}

static __attribute__((noinline)) void misuse_on_thread(void)
{
    REQUIRE(tu_start(NULL) == 0);
    tu_mutex_unlock(&mutex);
    atomic_signal_fence(memory_order_seq_cst);
}

TEST(failure, misuse_on_a_plain_thread)
{
    const char *const expected[] = {"unlock of an unlocked mutex", "in a plain thread [running on",
                                    "misuse_on_thread+0x", "tuco: 0 goroutines", NULL};
    child_run(&child, misuse_on_thread);
    if (child_lacks(&child, expected))
        test_fail(__FILE__, __LINE__, "%s", child.text);
    CHECK(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
}

static void misuse_without_runtime(void)
{
    tu_mutex_unlock(&mutex);
}

TEST(failure, misuse_before_the_start)
{
    child_run(&child, misuse_without_runtime);
    CHECK(strstr(child.text, "unlock of an unlocked mutex") != NULL);
    CHECK(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
}

/* ---- stack overflow ---- */

static volatile bool for_ever = true;

static __attribute__((noinline)) int endless(int n)
{
    volatile char pad[200];
    pad[0] = (char)n;
    int rest = (for_ever ? endless(n + 1) : 0) + pad[0];
    return rest + pad[0];
}

static void overflowing(void)
{
    volatile int kept = endless(1);
    (void)kept;
}

static void overflow_main(void *unused)
{
    (void)tu_go_named("digger", overflowing);
    (void)!tu_sleep(1000 * TU_S);
}

static void run_overflow(void)
{
    (void)!tu_main(NULL, overflow_main, NULL);
}

TEST(failure, stack_overflow)
{
    const char *const expected[] = {"tuco: stack overflow in goroutine ",
                                    " \"digger\", which has ",
                                    " bytes of stack",
                                    "started at ",
                                    "failure_test.c:",
                                    "(overflowing)",
                                    "fault at 0x",
                                    "endless+0x",
                                    "failure_test.c:",
                                    " frames elided ...\n",
                                    "endless+0x",
                                    "overflowing+0x",
                                    NULL};
    child_run(&child, run_overflow);
    const char *lacks = child_lacks(&child, expected);
    if (lacks || !WIFSIGNALED(child.status) || WTERMSIG(child.status) != SIGABRT)
        test_fail(__FILE__, __LINE__, "status %x, lacks %s:\n%s", (unsigned)child.status, lacks,
                  child.text);
}

/* ---- SIGQUIT ---- */

static struct tu_options options;

static void hog(void)
{
    for (volatile int i = 0;; i++) {
    }
}

static void quit_main(void *unused)
{
    tu_chan(int) c = tu_make_chan(int, 0);
    (void)tu_go_named("waiter", receive, c);
    for (unsigned i = 0; i < tu_maxprocs(); i++)
        (void)tu_go_named("hog", hog); /* none of the threads that run goroutines is free */
    (void)!tu_sleep(10 * TU_MS);
    fprintf(stderr, "ready\n");
    (void)!tu_sleep(1000 * TU_S);
}

static void run_quit(void)
{
    (void)!tu_main(&options, quit_main, NULL);
}

static const char *const dump_of_hogs[] = {"tuco: SIGQUIT\n",
                                           "tuco: ",
                                           "\"waiter\" [chan receive, ",
                                           "receive+0x",
                                           "\"hog\" [running on thread ",
                                           NULL};

TEST(sigquit, dumps_and_exits_beside_hogs)
{
    options = (struct tu_options){.maxprocs = 2};
    child_start(&child, run_quit);
    REQUIRE(child_read(&child, "ready\n"));
    kill(child.pid, SIGQUIT);
    child_end(&child);
    CHECK(child_lacks(&child, dump_of_hogs) == NULL);
    CHECK(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 2);
}

TEST(sigquit, may_go_on)
{
    options = (struct tu_options){.maxprocs = 2, .sigquit = TU_SIGQUIT_CONTINUE};
    child_start(&child, run_quit);
    REQUIRE(child_read(&child, "ready\n"));
    for (int i = 0; i < 3; i++) {
        kill(child.pid, SIGQUIT);
        CHECK(child_read(&child, "\"hog\" [running on thread "));
        usleep(200000);
        child.size = 0;
        memset(child.text, 0, sizeof child.text);
    }
    CHECK(waitpid(child.pid, &child.status, WNOHANG) == 0);
    kill(child.pid, SIGKILL);
    child_end(&child);
}

TEST(sigquit, environment_says_continue)
{
    options = (struct tu_options){.maxprocs = 2};
    setenv("TUCO_SIGQUIT", "continue", 1);
    child_start(&child, run_quit);
    REQUIRE(child_read(&child, "ready\n"));
    kill(child.pid, SIGQUIT);
    CHECK(child_read(&child, "\"hog\" [running on thread "));
    usleep(100000);
    CHECK(waitpid(child.pid, &child.status, WNOHANG) == 0);
    kill(child.pid, SIGKILL);
    child_end(&child);
}

static void handler_of_program(int number)
{
    static const char text[] = "the program's own\n";
    ssize_t rc = write(2, text, sizeof text - 1);
    _exit(rc > 0 ? 7 : 8);
}

static void run_with_own_handler(void)
{
    signal(SIGQUIT, handler_of_program);
    run_quit();
}

TEST(sigquit, the_programs_handler_stays)
{
    options = (struct tu_options){.maxprocs = 2};
    child_start(&child, run_with_own_handler);
    REQUIRE(child_read(&child, "ready\n"));
    kill(child.pid, SIGQUIT);
    child_end(&child);
    CHECK(strstr(child.text, "the program's own") && !strstr(child.text, "tuco: SIGQUIT"));
    CHECK(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 7);
}

static void run_embedded(void)
{
    REQUIRE(tu_start(NULL) == 0);
    fprintf(stderr, "ready\n");
    sleep(1000);
}

/* A library does not take signals from the program that starts it. */
TEST(sigquit, untouched_when_embedded)
{
    child_start(&child, run_embedded);
    REQUIRE(child_read(&child, "ready\n"));
    kill(child.pid, SIGQUIT);
    child_end(&child);
    CHECK(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGQUIT);
}
