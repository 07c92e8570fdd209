/* dump_test.c - names, and what a dump says of goroutines in every state. */
#include "support/testing.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <tuco.h>
#include <unistd.h>

static char text[1 << 20];

static const char *dump(void)
{
    int fd = memfd_create("dump", 0);
    REQUIRE(fd >= 0);
    tu_dump(fd);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    REQUIRE(n > 0);
    text[n] = 0;
    close(fd);
    return text;
}

/* The part of the dump from the goroutine with that name on, up to the next empty line; "" if it is not there. */
static const char *about(const char *name)
{
    static char part[1 << 16];
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\" [", name);
    const char *at = strstr(text, quoted);
    part[0] = 0;
    if (at) {
        const char *end = strstr(at, "\n\n");
        size_t size = end ? (size_t)(end - at) : strlen(at);
        snprintf(part, sizeof part, "%.*s", (int)size, at);
    }
    return part;
}

static int64_t pause_ns(void)
{
    return 20 * TU_MS;
}

static void named(tu_chan(int) out)
{
    CHECK(strcmp(tu_goroutine_name(), "first") == 0);
    tu_set_name("second name, which is far too long to be kept");
    CHECK(strcmp(tu_goroutine_name(), "second name, which is far too l") == 0);
    tu_set_name(NULL);
    CHECK(strcmp(tu_goroutine_name(), "") == 0);
    (void)!tu_send(out, 1);
}

static void unnamed(tu_chan(int) out)
{
    CHECK(strcmp(tu_goroutine_name(), "") == 0); /* also where the slot had a name before */
    (void)!tu_send(out, 2);
}

GO_TEST(names, set_cut_cleared)
{
    tu_chan(int) c = tu_make_chan(int, 0);
    int v;
    CHECK(strcmp(tu_goroutine_name(), "main") == 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(tu_go_named("first", named, c), 0);
        CHECK_EQ(tu_recv(c, &v), 0);
        CHECK_EQ(tu_go(unnamed, c), 0);
        CHECK_EQ(tu_recv(c, &v), 0);
    }
}

TEST(names, plain_thread)
{
    tu_set_name("nobody");
    CHECK(strcmp(tu_goroutine_name(), "") == 0);
}

static struct tu_mutex mutex;
static struct tu_rwmutex rwmutex;
static struct tu_wait_group group;
static struct tu_condition condition;
static tu_conn *conn;

static void in_receive(tu_chan(int) c)
{
    int v;
    (void)!tu_recv(c, &v);
}
static void in_send(tu_chan(int) c)
{
    (void)!tu_send(c, 1);
}
static void in_select(tu_chan(int) c)
{
    tu_select() {
        tu_on_recv(c, v)
            (void)v;
        tu_on_after(100 * TU_S) {
        }
    }
}
static void in_mutex(void)
{
    tu_mutex_lock(&mutex);
    tu_mutex_unlock(&mutex);
}
static void in_rlock(void)
{
    tu_rwmutex_rlock(&rwmutex);
}
static void in_wlock(void)
{
    tu_rwmutex_lock(&rwmutex);
}
static void in_wait_group(void)
{
    (void)!tu_wait_group_wait(&group);
}
static void in_condition(void)
{
    struct tu_mutex m = {0};
    tu_mutex_lock(&m);
    (void)!tu_condition_wait(&condition, &m);
}
static void in_scope(tu_chan(int) c)
{
    tu_scope(s)
        tu_scope_go(&s, in_receive, c);
}
static void in_sleep(void)
{
    (void)!tu_sleep(1000 * TU_S);
}
static void in_read(void)
{
    char c;
    (void)!tu_read(conn, &c, 1);
}
static void in_nothing(void)
{
    in_receive(NULL);
}
static void in_pinned(void)
{
    tu_pin();
    (void)!tu_sleep(1000 * TU_S);
}
static atomic_int stop;
static void in_loop(void)
{
    while (!atomic_load(&stop)) {
    }
}

static const struct {
    const char *name;
    void (*run)(void);
    const char *says, *object;
    const void *is; /* the object's address, when it is known */
} states[] = {
    {"mutex", in_mutex, "[mutex, ", "mutex 0x", &mutex},
    {"rlock", in_rlock, "[rwmutex (read), ", "rwmutex 0x", &rwmutex},
    {"wlock", in_wlock, "[mutex, ", "mutex 0x", &rwmutex.writer},
    {"group", in_wait_group, "[wait group, ", "wait group 0x", &group},
    {"condition", in_condition, "[condition, ", "condition 0x", &condition},
    {"sleep", in_sleep, "[sleep, ", " left]", NULL},
    {"read", in_read, "[read, ", "descriptor ", NULL},
    {"nothing", in_nothing, "[nothing, for ever, ", "", NULL},
    {"pinned", in_pinned, "[sleep, ", ", pinned to thread ", NULL},
    {"loop", in_loop, "[running on thread ", "", NULL},
};

static bool says_its_state(size_t i)
{
    const char *part = about(states[i].name);
    char address[32];
    snprintf(address, sizeof address, "%p", states[i].is);
    return strstr(part, states[i].says) && strstr(part, states[i].object) &&
           (!states[i].is || strstr(part, address));
}

/* A dump in which everybody has got to where it stays: on a busy machine that takes a while. */
static const char *settled_dump(void)
{
    const char *all = NULL;
    bool settled = false;
    for (int tries = 0; !settled && tries < 100; tries++) {
        (void)!tu_sleep(pause_ns());
        all = dump();
        settled = true;
        for (size_t i = 0; i < sizeof states / sizeof *states; i++)
            settled = settled && says_its_state(i);
    }
    return all;
}

GO_TEST(dump, every_state)
{
    tu_chan(int) empty = tu_make_chan(int, 0), full = tu_make_chan(int, 1);
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    REQUIRE(tu_conn_from_fd(&conn, ends[0]) == 0);
    CHECK_EQ(tu_send(full, 1), 0);
    tu_mutex_lock(&mutex);
    tu_rwmutex_lock(&rwmutex);
    tu_wait_group_add(&group, 1);
    CHECK_EQ(tu_go_named("receive", in_receive, empty), 0);
    CHECK_EQ(tu_go_named("send", in_send, full), 0);
    CHECK_EQ(tu_go_named("select", in_select, empty), 0);
    CHECK_EQ(tu_go_named("scope", in_scope, empty), 0);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        CHECK_EQ(tu_go_named(states[i].name, states[i].run), 0);
    const char *all = settled_dump();
    CHECK(strstr(all, "[running on thread ") && strstr(about("main"), "test_dump_every_state"));
    CHECK(strstr(about("receive"), "[chan receive, ") && strstr(about("receive"), "in_receive"));
    CHECK(strstr(about("receive"), "dump_test.c:"));
    CHECK(strstr(about("send"), "[chan send, ") && strstr(about("send"), "channel 0x"));
    CHECK(strstr(about("select"), "[select, ") && strstr(about("select"), "in_select"));
    CHECK(strstr(about("scope"), "[scope, ") && strstr(about("scope"), "scope 0x"));
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (!says_its_state(i))
            test_fail(__FILE__, __LINE__, "%s: %s", states[i].name, about(states[i].name));
    atomic_store(&stop, 1);
}

GO_TEST(dump, waiting_time_grows)
{
    tu_chan(int) c = tu_make_chan(int, 0);
    int ms[2] = {-1, -1};
    CHECK_EQ(tu_go_named("old", in_receive, c), 0);
    for (int i = 0; i < 2; i++) {
        (void)!tu_sleep(300 * TU_MS);
        (void)dump();
        CHECK(sscanf(about("old"), "\"old\" [chan receive, %d ms", &ms[i]) == 1);
    }
    CHECK(ms[0] >= 290 && ms[1] >= ms[0] + 290);
}

static void fresh(void)
{
    atomic_fetch_add(&stop, 1);
}

/* A dump that takes more than 10 ms loses its P, and `fresh` runs meanwhile: then once more. */
static void dump_fresh(void *unused)
{
    bool seen = false;
    for (int i = 1; i <= 100 && !seen; i++) {
        CHECK_EQ(tu_go_named("fresh", fresh), 0);
        (void)dump();
        seen = strstr(about("fresh"), "[runnable]") && strstr(about("fresh"), "has not run yet");
        while (atomic_load(&stop) < i)
            tu_yield();
        (void)!tu_sleep(TU_MS);
    }
    CHECK(seen);
    (void)dump();
    CHECK(!*about("fresh"));
}

TEST(dump, runnable)
{
    struct tu_options options = {.maxprocs = 1};
    CHECK_EQ(tu_main(&options, dump_fresh, NULL), 0);
}

GO_TEST(dump, many_are_folded)
{
    enum { MANY = 5000 };
    tu_chan(int) c = tu_make_chan(int, 0);
    for (int i = 0; i < MANY; i++)
        CHECK_EQ(tu_go(in_receive, c), 0);
    CHECK_EQ(tu_go_named("alone", in_sleep), 0);
    (void)!tu_sleep(pause_ns());
    const char *all = dump();
    CHECK(strstr(all, "5000 goroutines do the same"));
    CHECK(strstr(about("alone"), "[sleep, "));
    CHECK(strlen(all) < 4000);
}

static __attribute__((noinline)) int dive(int depth, tu_chan(int) c)
{
    volatile char pad[64];
    pad[0] = (char)depth;
    if (depth == 0)
        in_receive(c);
    else
        (void)dive(depth - 1, c);
    return pad[0];
}

static void diver(int depth, tu_chan(int) c)
{
    volatile int kept = dive(depth, c); /* not a tail call: this frame is looked for */
    (void)kept;
}

GO_TEST(dump, deep_stacks_are_cut)
{
    tu_chan(int) c = tu_make_chan(int, 0);
    CHECK_EQ(tu_go_named("deep", diver, 200, c), 0);
    (void)!tu_sleep(pause_ns());
    (void)dump();
    const char *part = about("deep");
    CHECK(strstr(part, " frames elided ...\n") && strstr(part, "dive+") && strstr(part, "diver"));
    size_t lines = 0;
    for (const char *p = part; (p = strchr(p, '\n')); p++)
        lines++;
    CHECK(lines >= 30 && lines <= 45);
}

/* The dumper reads stacks and queues of goroutines that run, park, die and are born meanwhile. */
static void churn(tu_chan(int) c, int n)
{
    int v;
    for (int i = 0; i < n && !atomic_load(&stop); i++) {
        if (i % 2)
            (void)!tu_send(c, i);
        else
            (void)!tu_recv(c, &v);
        if (i % 64 == 0)
            tu_go(churn, c, 8);
    }
}

GO_TEST(dump, races_with_everybody)
{
    tu_chan(int) c = tu_make_chan(int, 4);
    for (int i = 0; i < 200; i++)
        CHECK_EQ(tu_go(churn, c, 1000000), 0);
    int fd = open("/dev/null", O_WRONLY);
    for (int64_t end = tu_now() + TU_S; tu_now() < end; tu_yield())
        tu_dump(fd);
    atomic_store(&stop, 1);
    tu_close_chan(c);
}
