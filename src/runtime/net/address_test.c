/* address_test.c - names: what they become, and that a resolver that hangs stalls nobody. The C
 * library's getaddrinfo is replaced here by one that knows a few names and can hang. */
#include "runtime/net/address.h"

#include "runtime/sched/offload.h"
#include "runtime/sched/schedule.h"
#include "support/testing.h"
#include "support/ticker.h"

#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tuco.h>
#include <unistd.h>

static atomic_int lookups, hanging, finished;
static atomic_bool let_go;

typedef int (*getaddrinfo_fn)(const char *, const char *, const struct addrinfo *,
                              struct addrinfo **);

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **out)
{
    getaddrinfo_fn real = (getaddrinfo_fn)dlsym(RTLD_NEXT, "getaddrinfo");
    if (!host || (hints->ai_flags & AI_NUMERICHOST))
        return real(host, port, hints, out);
    atomic_fetch_add(&lookups, 1);
    if (strcmp(host, "hang.test") == 0) {
        atomic_fetch_add(&hanging, 1);
        while (!atomic_load(&let_go))
            usleep(2000);
        atomic_fetch_sub(&hanging, 1);
        return real("127.0.0.1", port, hints, out);
    }
    if (strcmp(host, "two.test") == 0) {
        struct addrinfo *second;
        int rc = real("192.0.2.7", port, hints, out);
        if (rc == 0 && real("2001:db8::7", port, hints, &second) == 0)
            (*out)->ai_next = second;
        return rc;
    }
    if (strcmp(host, "busy.test") == 0)
        return EAI_AGAIN;
    return strcmp(host, "local.test") == 0 ? real("127.0.0.1", port, hints, out) : EAI_NONAME;
}

static void until(atomic_int *word, int value)
{
    for (int i = 0; i < 4000 && atomic_load(word) != value; i++)
        (void)tu_sleep(5 * TU_MS);
    CHECK_EQ(atomic_load(word), value);
}

GO_TEST(address, resolve)
{
    struct tu_address a[8];
    REQUIRE(tu_resolve("two.test:80", a, 8) == 2);
    CHECK_EQ(strcmp(a[0].text, "192.0.2.7:80"), 0);
    CHECK_EQ(strcmp(a[1].text, "[2001:db8::7]:80"), 0);
    REQUIRE(tu_resolve("[::1]:6379", a, 8) == 1);
    CHECK_EQ(strcmp(a[0].text, "[::1]:6379"), 0);
    CHECK_EQ(tu_resolve("two.test:80", a, 1), 1);
    CHECK_EQ(tu_resolve("two.test:80", a, 0), 0);
    CHECK_EQ(tu_resolve("nobody.test:80", a, 8), -ENOENT);
    CHECK_EQ(tu_resolve("busy.test:80", a, 8), -EAGAIN);
    CHECK_EQ(tu_resolve("two.test", a, 8), -EINVAL);
    CHECK_EQ(tu_resolve("two.test:x", a, 8), -EINVAL);
    CHECK_EQ(tu_resolve("unix:/x", a, 8), -EINVAL);
    CHECK_EQ(atomic_load(&lookups), 5);
}

GO_TEST(address, dial_a_name)
{
    tu_listener *l = NULL;
    struct sockaddr_in in;
    socklen_t size = sizeof in;
    char text[64];
    REQUIRE(tu_listen(&l, "local.test:0", NULL) == 0);
    getsockname(tu_listener_fd(l), (struct sockaddr *)&in, &size);
    snprintf(text, sizeof text, "local.test:%d", ntohs(in.sin_port));
    tu_conn *c = NULL, *a = NULL;
    REQUIRE(tu_dial(&c, text) == 0);
    REQUIRE(tu_accept(l, &a) == 0);
    CHECK_EQ(tu_write(a, "x", 1), 1);
    char byte = 0;
    CHECK_EQ(tu_read(c, &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    tu_close(a);
    tu_close(c);
    tu_listener_close(l);
}

static void dial_hanging(tu_context *ctx, int *rc)
{
    tu_in_context(ctx) {
        tu_conn *c;
        *rc = tu_dial(&c, "hang.test:80");
    }
    tu_context_release(ctx);
    atomic_fetch_add(&finished, 1);
}

/* 100 lookups at a dead name server: at most 16 threads hang, the rest is queued; a ticker runs on, files and
 * calls have threads, every caller leaves at its deadline, and the hanging ones free themselves. */
GO_TEST(address, a_hanging_resolver_stalls_nobody)
{
    enum { DIALS = 100 };
    static int rc[DIALS];
    for (int i = 0; i < DIALS; i++)
        CHECK_EQ(tu_go(dial_hanging, tu_with_timeout(NULL, 200 * TU_MS), &rc[i]), 0);
    CHECK(tick_until(&finished, DIALS) < 20 * TU_MS);
    for (int i = 0; i < DIALS; i++)
        CHECK_EQ(rc[i], -ETIMEDOUT);
    int threads = atomic_load(&hanging);
    CHECK(threads > 4 && threads <= 16);
    CHECK_EQ(tu__offload_stats().queued[LANE_LOOKUP], 0);
    CHECK_EQ(tu__offload_stats().running[LANE_LOOKUP], threads);
    CHECK_EQ(atomic_load(&tu__sched.foreign_operations), 0); /* nobody waits for an orphan */
    struct tu_file_info info;
    CHECK_EQ(tu_stat("/", &info), 0);
    atomic_store(&let_go, true);
    for (int i = 0; i < 2000 && tu__offload_stats().running[LANE_LOOKUP] > 0; i++)
        (void)tu_sleep(5 * TU_MS);
    struct tu_address a[8];
    CHECK_EQ(tu_resolve("hang.test:80", a, 8), 1);
}

GO_TEST(address, a_cancelled_lookup)
{
    int rc = 0;
    tu_context *ctx = tu_with_cancel(NULL);
    CHECK_EQ(tu_go(dial_hanging, tu_context_retain(ctx), &rc), 0);
    until(&hanging, 1);
    tu_cancel(ctx);
    until(&finished, 1);
    CHECK_EQ(rc, -ECANCELED);
    atomic_store(&let_go, true);
    until(&hanging, 0);
}
