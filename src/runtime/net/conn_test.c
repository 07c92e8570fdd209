/* conn_test.c - sockets: echo on goroutines and on tu_serve, deadlines, close, half-close, pressure. */
#include "support/testing.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tuco.h>
#include <unistd.h>

static void dial_address(tu_listener *l, char *text, size_t size)
{
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    getsockname(tu_listener_fd(l), (struct sockaddr *)&a, &n);
    snprintf(text, size, "127.0.0.1:%d", ntohs(a.sin_port));
}

static tu_listener *listen_any(char *address, size_t size)
{
    tu_listener *l = NULL;
    REQUIRE(tu_listen(&l, "127.0.0.1:0", NULL) == 0);
    dial_address(l, address, size);
    return l;
}

static void echo_conn(tu_conn *c)
{
    char buffer[4096];
    ssize_t n;
    while ((n = tu_read(c, buffer, sizeof buffer)) > 0)
        if (tu_write(c, buffer, (size_t)n) != n)
            break;
    tu_close(c);
}

static void accept_echo(tu_listener *l)
{
    tu_conn *c;
    while (tu_accept(l, &c) == 0)
        CHECK_EQ(tu_go(echo_conn, c), 0);
}

static atomic_int finished;

static void client(const char *address, int rounds)
{
    tu_conn *c = NULL;
    char out[100], in[100];
    CHECK_EQ(tu_dial(&c, address), 0);
    for (int i = 0; c && i < rounds; i++) {
        memset(out, i, sizeof out);
        CHECK_EQ(tu_write(c, out, sizeof out), sizeof out);
        for (size_t got = 0; got < sizeof in;) {
            ssize_t n = tu_read(c, in + got, sizeof in - got);
            if (n <= 0) {
                CHECK_EQ(n, 1);
                break;
            }
            got += (size_t)n;
        }
        CHECK(memcmp(in, out, sizeof in) == 0);
    }
    if (c)
        tu_close(c);
    atomic_fetch_add(&finished, 1);
}

static void run_clients(const char *address, int clients, int rounds)
{
    atomic_store(&finished, 0);
    for (int i = 0; i < clients; i++)
        CHECK_EQ(tu_go(client, address, rounds), 0);
    for (int i = 0; i < 2000 && atomic_load(&finished) < clients; i++)
        (void)tu_sleep(5 * TU_MS);
    CHECK_EQ(atomic_load(&finished), clients);
}

GO_TEST(conn, echo_on_goroutines)
{
    char address[32];
    tu_listener *l = listen_any(address, sizeof address);
    CHECK_EQ(tu_go(accept_echo, l), 0);
    run_clients(address, 50, 200);
    tu_listener_close(l);
}

static atomic_int closed_count;

static enum tu_serve_next echo_handler(tu_conn *c, unsigned events, void *state)
{
    char buffer[256];
    (void)events;
    for (;;) {
        ssize_t n = tu_try_read(c, buffer, sizeof buffer);
        if (n == -EAGAIN)
            return TU_SERVE_WAIT;
        if (n <= 0 || tu_write(c, buffer, (size_t)n) != n)
            return TU_SERVE_CLOSE;
        ++*(int *)state;
        if (n < (ssize_t)sizeof buffer)
            return TU_SERVE_WAIT;
    }
}

static void count_closed(void *state)
{
    free(state);
    atomic_fetch_add(&closed_count, 1);
}

static void accept_serve(tu_listener *l)
{
    tu_conn *c;
    while (tu_accept(l, &c) == 0) {
        struct tu_serve_options o = {echo_handler, count_closed, calloc(1, sizeof(int))};
        CHECK_EQ(tu_serve(c, &o), 0);
    }
}

GO_TEST(conn, echo_on_serve)
{
    char address[32];
    tu_listener *l = listen_any(address, sizeof address);
    CHECK_EQ(tu_go(accept_serve, l), 0);
    run_clients(address, 50, 500);
    for (int i = 0; i < 200 && atomic_load(&closed_count) < 50; i++)
        (void)tu_sleep(5 * TU_MS);
    CHECK_EQ(atomic_load(&closed_count), 50);
    tu_listener_close(l);
}

/* A handler may park in the ordinary calls: an event for a served conn must wake who waits in them, too. */
enum { LARGE_BYTES = 8 << 20 };

static enum tu_serve_next blocking_handler(tu_conn *c, unsigned events, void *state)
{
    char request[8];
    (void)events, (void)state;
    ssize_t n = tu_read(c, request, sizeof request);
    if (n <= 0)
        return TU_SERVE_CLOSE;
    while (n < (ssize_t)sizeof request) { /* the client sends the rest 20 ms later */
        ssize_t more = tu_read(c, request + n, sizeof request - (size_t)n);
        CHECK(more > 0);
        if (more <= 0)
            return TU_SERVE_CLOSE;
        n += more;
    }
    char *large = calloc(1, LARGE_BYTES); /* more than the socket's buffers take */
    CHECK_EQ(tu_write(c, large, LARGE_BYTES), LARGE_BYTES);
    free(large);
    return TU_SERVE_WAIT;
}

static void accept_blocking(tu_listener *l)
{
    static const struct tu_serve_options options = {.handler = blocking_handler};
    tu_conn *c;
    if (tu_accept(l, &c) == 0)
        CHECK_EQ(tu_serve(c, &options), 0);
}

GO_TEST(conn, handler_parks_in_read_and_write)
{
    char address[32];
    tu_listener *l = listen_any(address, sizeof address);
    tu_conn *c = NULL;
    CHECK_EQ(tu_go(accept_blocking, l), 0);
    REQUIRE(tu_dial(&c, address) == 0);
    CHECK_EQ(tu_write(c, "ask", 3), 3);
    (void)tu_sleep(20 * TU_MS);
    CHECK_EQ(tu_write(c, " more", 5), 5);
    (void)tu_sleep(50 * TU_MS);
    char *in = malloc(LARGE_BYTES);
    size_t got = 0;
    tu_set_read_deadline(c, tu_now() + 10 * TU_S);
    while (got < LARGE_BYTES) {
        ssize_t n = tu_read(c, in + got, LARGE_BYTES - got);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    CHECK_EQ(got, LARGE_BYTES);
    free(in);
    tu_close(c);
    tu_listener_close(l);
}

/* An accept loop between two accepts while another goroutine closes and frees the listener: used after free before
 * listeners were counted. */
static void accept_until_closed(tu_listener *l)
{
    tu_conn *c;
    int rc;
    while ((rc = tu_accept(l, &c)) == 0) {
        tu_close(c);
        CHECK_EQ(tu_sleep(TU_MS), 0);
    }
    CHECK_EQ(rc, -EBADF);
    tu_listener_release(l);
    atomic_fetch_add(&finished, 1);
}

GO_TEST(conn, close_between_two_accepts)
{
    atomic_store(&finished, 0);
    for (int i = 0; i < 50; i++) {
        char address[32];
        tu_conn *c = NULL;
        tu_listener *l = listen_any(address, sizeof address);
        CHECK_EQ(tu_go(accept_until_closed, tu_listener_retain(l)), 0);
        REQUIRE(tu_dial(&c, address) == 0);
        tu_close(c);
        tu_yield();
        tu_listener_close(l);
        while (atomic_load(&finished) <= i)
            CHECK_EQ(tu_sleep(TU_MS / 10), 0);
    }
}

GO_TEST(conn, data_and_end_together)
{
    char address[32], buffer[256];
    tu_listener *l = listen_any(address, sizeof address);
    CHECK_EQ(tu_go(accept_echo, l), 0);
    for (int i = 0; i < 200; i++) {
        tu_conn *c = NULL;
        REQUIRE(tu_dial(&c, address) == 0);
        CHECK_EQ(tu_write(c, "hello", 5), 5);
        shutdown(tu_conn_fd(c), SHUT_WR);
        size_t got = 0;
        ssize_t n;
        while ((n = tu_read(c, buffer, sizeof buffer)) > 0)
            got += (size_t)n;
        CHECK_EQ(n, 0);
        CHECK_EQ(got, 5);
        tu_close(c);
    }
    tu_listener_close(l);
}

GO_TEST(conn, read_deadline)
{
    char address[32], buffer[16];
    tu_listener *l = listen_any(address, sizeof address);
    tu_conn *c = NULL;
    REQUIRE(tu_dial(&c, address) == 0);
    int64_t start = tu_now();
    tu_set_read_deadline(c, start + 20 * TU_MS);
    CHECK_EQ(tu_read(c, buffer, sizeof buffer), -ETIMEDOUT);
    CHECK(tu_now() - start >= 20 * TU_MS);
    CHECK_EQ(tu_read(c, buffer, sizeof buffer), -ETIMEDOUT);
    tu_set_read_deadline(c, 0);
    tu_set_read_deadline(c, tu_now() - 1);
    CHECK_EQ(tu_read(c, buffer, sizeof buffer), -ETIMEDOUT);
    tu_close(c);
    tu_listener_close(l);
}

static void close_later(tu_conn *c)
{
    (void)tu_sleep(10 * TU_MS);
    tu_close(c);
}

GO_TEST(conn, close_wakes_reader)
{
    char address[32], buffer[16];
    tu_listener *l = listen_any(address, sizeof address);
    tu_conn *c = NULL;
    REQUIRE(tu_dial(&c, address) == 0);
    CHECK_EQ(tu_go(close_later, c), 0);
    CHECK_EQ(tu_read(c, buffer, sizeof buffer), -EBADF);
    tu_listener_close(l);
}

GO_TEST(conn, context_ends_read_and_accept)
{
    char address[32], buffer[16];
    tu_listener *l = listen_any(address, sizeof address);
    tu_conn *c = NULL, *a = NULL;
    REQUIRE(tu_dial(&c, address) == 0);
    REQUIRE(tu_accept(l, &a) == 0);
    tu_context *ctx = tu_with_timeout(NULL, 10 * TU_MS);
    tu_in_context(ctx) {
        CHECK_EQ(tu_read(c, buffer, sizeof buffer), -ETIMEDOUT);
        tu_conn *none = NULL;
        CHECK_EQ(tu_accept(l, &none), -ETIMEDOUT);
    }
    tu_cancel(ctx);
    CHECK_EQ(tu_write(a, "x", 1), 1);
    CHECK_EQ(tu_read(c, buffer, sizeof buffer), 1);
    tu_close(a);
    tu_close(c);
    tu_listener_close(l);
}

static void drain_slowly(tu_conn *c, size_t total)
{
    char *buffer = malloc(1 << 20);
    size_t got = 0;
    while (got < total) {
        ssize_t n = tu_read(c, buffer, 1 << 20);
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            if (buffer[i] != (char)((got + (size_t)i) % 251)) {
                CHECK(!"wrong byte");
                break;
            }
        got += (size_t)n;
    }
    CHECK_EQ(got, total);
    free(buffer);
    tu_close(c);
    atomic_fetch_add(&finished, 1);
}

GO_TEST(conn, big_write_with_slow_reader)
{
    char address[32];
    enum { TOTAL = 20 << 20 };
    tu_listener *l = listen_any(address, sizeof address);
    tu_conn *c = NULL, *a = NULL;
    REQUIRE(tu_dial(&c, address) == 0);
    REQUIRE(tu_accept(l, &a) == 0);
    CHECK_EQ(tu_go(drain_slowly, a, (size_t)TOTAL), 0);
    char *data = malloc(TOTAL);
    for (size_t i = 0; i < TOTAL; i++)
        data[i] = (char)(i % 251);
    struct iovec parts[3] = {
        {data, 1000}, {data + 1000, 5 << 20}, {data + 1000 + (5 << 20), TOTAL - 1000 - (5 << 20)}};
    CHECK_EQ(tu_writev(c, parts, 3), TOTAL);
    for (int i = 0; i < 1000 && !atomic_load(&finished); i++)
        (void)tu_sleep(5 * TU_MS);
    CHECK_EQ(atomic_load(&finished), 1);
    free(data);
    tu_close(c);
    tu_listener_close(l);
}

GO_TEST(conn, refused_and_malformed)
{
    tu_conn *c = NULL;
    tu_listener *l = NULL;
    CHECK_EQ(tu_dial(&c, "127.0.0.1:1"), -ECONNREFUSED);
    CHECK_EQ(tu_dial(&c, "127.0.0.1"), -EINVAL);
    CHECK_EQ(tu_dial(&c, "127.0.0.1:99999"), -EINVAL);
    CHECK_EQ(tu_dial(&c, "unix:/nonexistent/socket"), -ENOENT);
    CHECK_EQ(tu_listen(&l, "nonsense", NULL), -EINVAL);
}

GO_TEST(conn, listener_address)
{
    tu_listener *l = NULL;
    struct tu_address where;
    REQUIRE(tu_listen(&l, "127.0.0.1:0", NULL) == 0);
    CHECK_EQ(tu_listener_address(l, &where), 0);
    CHECK(strncmp(where.text, "127.0.0.1:", 10) == 0 && strcmp(where.text + 10, "0") != 0);
    CHECK_EQ(tu_go(accept_serve, l), 0);
    run_clients(where.text, 2, 3);
    tu_listener_close(l);
    if (tu_listen(&l, "[::1]:0", NULL) == 0) { /* not every machine has IPv6 */
        CHECK_EQ(tu_listener_address(l, &where), 0);
        CHECK(strncmp(where.text, "[::1]:", 6) == 0);
        tu_listener_close(l);
    }
}

GO_TEST(conn, unix_socket)
{
    char path[64], address[80];
    snprintf(path, sizeof path, "/tmp/tuco-test-%d.sock", (int)getpid());
    snprintf(address, sizeof address, "unix:%s", path);
    tu_listener *l = NULL;
    REQUIRE(tu_listen(&l, address, NULL) == 0);
    struct tu_address where;
    CHECK_EQ(tu_listener_address(l, &where), -EINVAL);
    CHECK_EQ(tu_go(accept_serve, l), 0);
    run_clients(address, 10, 100);
    tu_listener_close(l);
    unlink(path);
}
