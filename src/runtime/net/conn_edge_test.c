/* conn_edge_test.c - deadlines, ends and closes that meet reads, writes and each other; behaviours of Go's
 * net and internal/poll tests, re-expressed. Run with epoll and with TUCO_NET=uring. */
#include "support/testing.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tuco.h>
#include <unistd.h>

static atomic_int finished, accepted;

static void until(atomic_int *word, int value)
{
    for (int i = 0; i < 4000 && atomic_load(word) < value; i++)
        (void)tu_sleep(5 * TU_MS);
    CHECK_EQ(atomic_load(word), value);
}

static void address_of(tu_listener *l, char text[32])
{
    struct sockaddr_in in;
    socklen_t size = sizeof in;
    REQUIRE(getsockname(tu_listener_fd(l), (struct sockaddr *)&in, &size) == 0);
    snprintf(text, 32, "127.0.0.1:%d", ntohs(in.sin_port));
}

static tu_listener *listen_any(char text[32])
{
    tu_listener *l = NULL;
    REQUIRE(tu_listen(&l, "127.0.0.1:0", NULL) == 0);
    address_of(l, text);
    return l;
}

/* Two ends of a TCP connection. */
static void make_pair(tu_conn **a, tu_conn **b)
{
    char text[32];
    tu_listener *l = listen_any(text);
    REQUIRE(tu_dial(a, text) == 0);
    REQUIRE(tu_accept(l, b) == 0);
    tu_listener_close(l);
}

static int open_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* The environment must be obeyed, or the two runs of this file would be one. */
GO_TEST(conn_edge, the_backend_that_was_asked_for)
{
    const char *choice = getenv("TUCO_NET");
    bool ring =
        choice && strcmp(choice, "uring") == 0 && strcmp(tu_file_backend(), "io_uring") == 0;
    CHECK_EQ(strcmp(tu_net_backend(), ring ? "io_uring" : "epoll"), 0);
}

/* ---- deadlines ---- */

static void write_for_ever(tu_conn *c)
{
    static const char block[8192];
    while (tu_write(c, block, sizeof block) > 0) {
    }
    tu_close(c);
    atomic_fetch_add(&finished, 1);
}

/* Go: TestVariousDeadlines. Data never stops, and the deadline must stop the reader all the same. */
GO_TEST(conn_edge, various_deadlines)
{
    static const int64_t timeouts[] = {0,         TU_NS,     100 * TU_NS, TU_US,      50 * TU_US,
                                       TU_MS / 2, 2 * TU_MS, 10 * TU_MS,  50 * TU_MS, 200 * TU_MS};
    enum { COUNT = sizeof timeouts / sizeof timeouts[0] };
    for (int i = 0; i < COUNT; i++) {
        tu_conn *a, *b;
        char buffer[8192];
        make_pair(&a, &b);
        CHECK_EQ(tu_go(write_for_ever, b), 0);
        int64_t began = tu_now();
        tu_set_read_deadline(a, began + timeouts[i]);
        ssize_t n;
        while ((n = tu_read(a, buffer, sizeof buffer)) > 0) {
        }
        CHECK_EQ(n, -ETIMEDOUT);
        CHECK(tu_now() - began >= timeouts[i]);
        CHECK_EQ(tu_read(a, buffer, 1), -ETIMEDOUT); /* it stays */
        tu_set_read_deadline(a, 0);
        CHECK_EQ(tu_read(a, buffer, 1), 1);
        tu_close(a);
    }
    until(&finished, COUNT);
}

static void set_read_later(tu_conn *c, int64_t delay, int64_t deadline)
{
    (void)tu_sleep(delay);
    tu_set_read_deadline(c, deadline);
}

GO_TEST(conn_edge, a_deadline_reaches_who_is_parked)
{
    tu_conn *a, *b;
    char byte;
    make_pair(&a, &b);
    CHECK_EQ(tu_go(set_read_later, a, 20 * TU_MS, tu_now() - TU_S), 0); /* past: ends it now */
    CHECK_EQ(tu_read(a, &byte, 1), -ETIMEDOUT);
    int64_t began = tu_now(); /* 390 ms are enough for the other, whatever else the machine does */
    tu_set_read_deadline(a, began + 400 * TU_MS);
    CHECK_EQ(tu_go(set_read_later, a, 10 * TU_MS, began + 500 * TU_MS), 0); /* postponed */
    CHECK_EQ(tu_read(a, &byte, 1), -ETIMEDOUT);
    CHECK(tu_now() - began >= 500 * TU_MS);
    tu_set_read_deadline(a, 0);
    CHECK_EQ(tu_write(b, "x", 1), 1);
    CHECK_EQ(tu_read(a, &byte, 1), 1);
    CHECK_EQ(tu_write(a, "x", 1), 1); /* the other direction never heard of it */
    tu_close(a);
    tu_close(b);
}

GO_TEST(conn_edge, write_deadline)
{
    tu_conn *a, *b;
    static char block[1 << 20];
    make_pair(&a, &b);
    tu_set_write_deadline(a, tu_now() + 50 * TU_MS);
    ssize_t n;
    while ((n = tu_write(a, block, sizeof block)) > 0) {
    }
    CHECK_EQ(n, -ETIMEDOUT);
    CHECK_EQ(tu_write(a, block, 1), -ETIMEDOUT);
    CHECK(tu_read(b, block, 1000) == 1000); /* what was sent is sent */
    tu_close(a);
    tu_close(b);
}

static atomic_bool stop;

static void set_all_the_time(tu_conn *c, int seed)
{
    for (int i = 0; !atomic_load(&stop); i++) {
        int64_t at = (i + seed) % 7 == 0 ? 0 : tu_now() + (i * 37 + seed) % 400 * TU_US;
        if (seed & 1)
            tu_set_read_deadline(c, at);
        else
            tu_set_write_deadline(c, at);
        if (i % 16 == 0)
            tu_yield();
    }
    atomic_fetch_add(&finished, 1);
}

static void read_all_the_time(tu_conn *c)
{
    char buffer[512];
    while (!atomic_load(&stop)) {
        ssize_t n = tu_read(c, buffer, sizeof buffer);
        CHECK(n > 0 || n == -ETIMEDOUT);
        if (n < 0)
            (void)tu_sleep(100 * TU_US);
    }
    atomic_fetch_add(&finished, 1);
}

static void write_all_the_time(tu_conn *c)
{
    static const char buffer[512];
    while (!atomic_load(&stop)) {
        ssize_t n = tu_write(c, buffer, sizeof buffer);
        CHECK(n > 0 || n == -ETIMEDOUT);
        (void)tu_sleep(100 * TU_US);
    }
    atomic_fetch_add(&finished, 1);
}

/* Go: TestReadWriteDeadlineRace, TestConcurrentSetDeadline: several setters a direction, readers and
 * writers at both ends. */
GO_TEST(conn_edge, deadlines_race_with_reads_and_writes)
{
    tu_conn *a, *b;
    make_pair(&a, &b);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(tu_go(set_all_the_time, i % 3 ? a : b, i), 0);
    CHECK_EQ(tu_go(read_all_the_time, a), 0);
    CHECK_EQ(tu_go(read_all_the_time, b), 0);
    CHECK_EQ(tu_go(write_all_the_time, a), 0);
    CHECK_EQ(tu_go(write_all_the_time, b), 0);
    (void)tu_sleep(300 * TU_MS);
    atomic_store(&stop, true);
    (void)tu_sleep(20 * TU_MS);
    tu_set_read_deadline(a, 1); /* wakes whoever waits for a byte or a later deadline */
    tu_set_read_deadline(b, 1);
    tu_set_write_deadline(a, 1);
    tu_set_write_deadline(b, 1);
    until(&finished, 10);
    char byte;
    tu_set_read_deadline(a, 0);
    tu_set_write_deadline(b, 0);
    CHECK_EQ(tu_write(b, "x", 1), 1);
    CHECK_EQ(tu_read(a, &byte, 1), 1);
    tu_close(a);
    tu_close(b);
}

static void read_until_closed(tu_conn *c, int *result)
{
    char byte;
    ssize_t n;
    while ((n = tu_read(c, &byte, 1)) > 0) {
    }
    *result = (int)n;
    atomic_fetch_add(&finished, 1);
}

/* A deadline that fires while the conn is closed; its memory is the next conn's at once, which must
 * neither time out nor be woken by the old one's timer. */
GO_TEST(conn_edge, deadlines_race_with_close)
{
    for (int i = 0; i < 300; i++) {
        tu_conn *a, *b;
        int pair[2], result = 1;
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        REQUIRE(tu_conn_from_fd(&a, pair[0]) == 0);
        atomic_store(&finished, 0);
        tu_set_read_deadline(a, tu_now() + i % 20 * 20 * TU_US);
        CHECK_EQ(tu_go(read_until_closed, a, &result), 0);
        (void)tu_sleep(i % 23 * 20 * TU_US + 1);
        tu_close(a);
        until(&finished, 1);
        CHECK(result == -EBADF || result == -ETIMEDOUT);
        close(pair[1]);
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        REQUIRE(tu_conn_from_fd(&a, pair[0]) == 0);
        REQUIRE(tu_conn_from_fd(&b, pair[1]) == 0);
        char byte;
        CHECK_EQ(tu_write(b, "x", 1), 1);
        CHECK_EQ(tu_read(a, &byte, 1), 1);
        tu_close(a);
        tu_close(b);
    }
}

/* ---- closing ---- */

static void write_until_closed(tu_conn *c, int *result)
{
    static char block[1 << 20];
    ssize_t n;
    while ((n = tu_write(c, block, sizeof block)) > 0) {
    }
    *result = (int)n;
    atomic_fetch_add(&finished, 1);
}

static void accept_until_closed(tu_listener *l)
{
    tu_conn *c;
    int rc;
    while ((rc = tu_accept(l, &c)) == 0) {
        atomic_fetch_add(&accepted,
                         1); /* before the close, which tells the other side to look at it */
        tu_close(c);
    }
    CHECK_EQ(rc, -EBADF);
    atomic_fetch_add(&finished, 1);
}

GO_TEST(conn_edge, close_unblocks_reader_and_writer)
{
    tu_conn *a, *b;
    int reading = 1, writing = 1;
    make_pair(&a, &b);
    CHECK_EQ(tu_go(read_until_closed, a, &reading), 0);
    CHECK_EQ(tu_go(write_until_closed, a, &writing), 0);
    (void)tu_sleep(50 * TU_MS);
    CHECK_EQ(atomic_load(&finished), 0);
    tu_close(a);
    until(&finished, 2);
    CHECK_EQ(reading, -EBADF);
    CHECK_EQ(writing, -EBADF);
    tu_close(b);
}

GO_TEST(conn_edge, close_unblocks_every_acceptor)
{
    char text[32];
    tu_listener *l = listen_any(text), *again = NULL;
    for (int i = 0; i < 5; i++)
        CHECK_EQ(tu_go(accept_until_closed, l), 0);
    (void)tu_sleep(20 * TU_MS);
    tu_conn *c = NULL;
    char byte;
    REQUIRE(tu_dial(&c, text) == 0);
    CHECK_EQ(tu_read(c, &byte, 1), 0);
    CHECK_EQ(atomic_load(&accepted), 1);
    tu_listener_close(l);
    until(&finished, 5);
    tu_close(c);
    int rc = -EADDRINUSE; /* the port is free, at once or nearly (poll_ring.c) */
    for (int i = 0; i < 100 && (rc = tu_listen(&again, text, NULL)) == -EADDRINUSE; i++)
        (void)tu_sleep(TU_MS);
    REQUIRE(rc == 0);
    tu_listener_close(again);
}

static void dial_and_wait(const char *text)
{
    tu_conn *c = NULL;
    char byte;
    CHECK_EQ(tu_dial(&c, text), 0);
    CHECK_EQ(tu_read(c, &byte, 1), 0);
    tu_close(c);
    atomic_fetch_add(&finished, 1);
}

/* Go: TestAcceptTimeoutMustReturn. Deadlines that end accepts while connections arrive: each accept
 * returns, and no connection is lost between the two. */
GO_TEST(conn_edge, accept_deadlines_race_with_connections)
{
    char text[32];
    tu_listener *l = listen_any(text);
    enum { CLIENTS = 100 };
    for (int i = 0; i < CLIENTS; i++)
        CHECK_EQ(tu_go(dial_and_wait, (const char *)text), 0);
    for (int got = 0, tries = 0; got < CLIENTS && tries < 100000; tries++) {
        tu_context *ctx = tu_with_timeout(NULL, tries % 5 * 20 * TU_US);
        tu_in_context(ctx) {
            tu_conn *c = NULL;
            int rc = tu_accept(l, &c);
            CHECK(rc == 0 || rc == -ETIMEDOUT);
            if (rc == 0) {
                tu_close(c);
                got++;
            }
        }
        tu_context_release(ctx);
    }
    until(&finished, CLIENTS);
    tu_listener_close(l);
}

static void wait_for_end(tu_conn *c)
{
    char byte;
    CHECK_EQ(tu_read(c, &byte, 1), 0);
    tu_close(c);
    atomic_fetch_add(&finished, 1);
}

static void close_later(tu_conn *c, int64_t delay)
{
    (void)tu_sleep(delay);
    tu_close(c);
}

/* Closed by another goroutine than the one that made it, perhaps on another thread: the peer sees the
 * end, whatever the poller still knows. Numbers of descriptors come again all the time. */
GO_TEST(conn_edge, the_peer_sees_the_close)
{
    int before = 0;
    for (int round = 0; round < 20; round++) {
        atomic_store(&finished, 0);
        for (int i = 0; i < 20; i++) {
            tu_conn *a, *b;
            make_pair(&a, &b);
            CHECK_EQ(tu_go(wait_for_end, a), 0);
            CHECK_EQ(tu_go(close_later, b, i % 4 * 500 * TU_US), 0);
        }
        until(&finished, 20);
        while (tu_goroutines() > 1)
            tu_yield();
        if (round == 0)
            before = open_descriptors();
    }
    CHECK_EQ(open_descriptors(), before);
}

/* ---- ends of streams ---- */

/* The peer's half is closed: its bytes, then the end, again and again; ours still works. */
GO_TEST(conn_edge, half_close)
{
    tu_conn *a, *b;
    char buffer[64];
    make_pair(&a, &b);
    CHECK_EQ(tu_write(a, "last words", 10), 10);
    REQUIRE(shutdown(tu_conn_fd(a), SHUT_WR) == 0);
    CHECK_EQ(tu_read(b, buffer, 4), 4);
    CHECK_EQ(tu_read(b, buffer, sizeof buffer), 6);
    CHECK_EQ(tu_read(b, buffer, sizeof buffer), 0);
    CHECK_EQ(tu_read(b, buffer, sizeof buffer), 0);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(tu_write(b, "answer", 6), 6);
        CHECK_EQ(tu_read(a, buffer, sizeof buffer), 6);
    }
    CHECK_EQ(tu_write(a, "x", 1), -EPIPE);
    tu_close(b);
    CHECK_EQ(tu_read(a, buffer, sizeof buffer), 0);
    tu_close(a);
}

/* The end comes while the reader is parked, after bytes, in one segment or two. */
static void write_and_shut(tu_conn *c, int bytes)
{
    (void)tu_sleep(TU_MS);
    if (bytes)
        CHECK_EQ(tu_write(c, "123456789", (size_t)bytes), bytes);
    REQUIRE(shutdown(tu_conn_fd(c), SHUT_WR) == 0);
    atomic_fetch_add(&finished, 1);
}

GO_TEST(conn_edge, the_end_reaches_a_parked_reader)
{
    for (int i = 0; i < 100; i++) {
        tu_conn *a, *b;
        char buffer[16];
        int got = 0;
        make_pair(&a, &b);
        CHECK_EQ(tu_go(write_and_shut, b, i % 10), 0);
        for (ssize_t n; (n = tu_read(a, buffer, sizeof buffer)) != 0; got += (int)n)
            REQUIRE(n > 0);
        CHECK_EQ(got, i % 10);
        until(&finished, i + 1);
        tu_close(a);
        tu_close(b);
    }
}

/* Unread bytes at a close make it a reset: an error for both directions, and never a SIGPIPE. */
GO_TEST(conn_edge, writing_to_a_reset_peer)
{
    tu_conn *a, *b;
    char byte;
    make_pair(&a, &b);
    CHECK_EQ(tu_write(a, "unread", 6), 6);
    (void)tu_sleep(10 * TU_MS);
    tu_close(b);
    CHECK_EQ(tu_read(a, &byte, 1), -ECONNRESET);
    ssize_t n = 0;
    for (int i = 0; i < 100 && n >= 0; i++)
        n = tu_write(a, "x", 1);
    CHECK_EQ(n, -EPIPE);
    tu_close(a);
    int ends[2];
    tu_conn *p;
    REQUIRE(pipe(ends) == 0);
    close(ends[0]);
    REQUIRE(tu_conn_from_fd(&p, ends[1]) == 0);
    CHECK_EQ(tu_write(p, "x", 1), -EPIPE);
    tu_close(p);
}

GO_TEST(conn_edge, a_reset_wakes_who_is_parked)
{
    tu_conn *a, *b;
    int reading = 1, writing = 1;
    make_pair(&a, &b);
    CHECK_EQ(tu_go(read_until_closed, a, &reading), 0);
    CHECK_EQ(tu_go(write_until_closed, a, &writing), 0);
    (void)tu_sleep(50 * TU_MS);
    tu_close(b); /* with unread bytes: a reset */
    until(&finished, 2);
    CHECK(reading == -ECONNRESET || (reading == 0 && writing == -ECONNRESET)); /* told once */
    CHECK(writing == -EPIPE || writing == -ECONNRESET);
    tu_close(a);
}

/* ---- dialling ---- */

static void fill_backlog(struct sockaddr_in *in)
{
    socklen_t size = sizeof *in;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    REQUIRE(bind(fd, (struct sockaddr *)in, sizeof *in) == 0 && listen(fd, 0) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)in, &size) == 0);
    for (int i = 0; i < 3; i++) {
        int filler = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(filler, (struct sockaddr *)in, sizeof *in);
        (void)tu_sleep(2 * TU_MS);
    }
}

GO_TEST(conn_edge, a_dial_that_times_out_leaves_nothing)
{
    struct sockaddr_in in;
    char text[32];
    fill_backlog(&in);
    snprintf(text, sizeof text, "127.0.0.1:%d", ntohs(in.sin_port));
    int before = open_descriptors();
    for (int i = 0; i < 10; i++) {
        tu_context *ctx = tu_with_timeout(NULL, 5 * TU_MS);
        tu_in_context(ctx) {
            tu_conn *c = NULL;
            CHECK_EQ(tu_dial(&c, text), -ETIMEDOUT);
        }
        tu_context_release(ctx);
    }
    CHECK_EQ(open_descriptors(), before);
}
