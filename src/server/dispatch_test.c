/* dispatch_test.c - clients without sockets on a real server: order of checks, MULTI and WATCH between
 * clients, CLIENT REPLY, the registry and its filters.
 */
#include "server/dispatch.h"

#include "server/client.h"
#include "server/client_registry.h"
#include "server/output.h"
#include "server/server.h"

#include "support/testing.h"

#include <stdlib.h>

static struct server server;

static void start(void)
{
    struct config *config = config_default();
    REQUIRE(config != NULL);
    REQUIRE(server_init(&server, config, "test") == 0);
}

static struct client *join(void)
{
    struct client *c = client_new(&server, NULL, 1000000);
    REQUIRE(c != NULL);
    REQUIRE(client_registry_add(server.clients, c, 100));
    return c;
}

static void leave(struct client *c)
{
    client_registry_remove(server.clients, c);
    client_free(c);
}

/* What the client is answered, as one batch; the caller frees it. */
static char *answer(struct client *c, const char *lines)
{
    static struct slice words[256];
    static struct dispatch_item items[32];
    static char lent[512];
    struct dispatch d;
    struct reply r;
    struct resp_parser p;
    struct resp_limits limits = {1 << 20, true};
    size_t size = strlen(lines), used = 0, count = 0;
    char *copy = strdup(lines), *at = copy;
    const struct config *config = config_pin_refresh(&server.config, &c->pin);
    reply_open(&r, lent, sizeof lent, (int)client_load(c->protocol));
    dispatch_begin(&d, c, config, &r);
    resp_parser_init(&p, words, 256);
    while (size > 0 && resp_parse(&p, at, size, &limits) == RESP_COMMAND) {
        REQUIRE(count < 32 && p.heap == NULL);
        items[count++] = (struct dispatch_item){.argv = p.argv, .argc = p.argc};
        used += p.argc;
        at += p.position;
        size -= p.position;
        resp_parser_next(&p, words + used, 256 - used);
    }
    CHECK_EQ(size, 0);
    dispatch_look_ahead(&d, items, count);
    for (size_t i = 0; i < count && dispatch_going_on(&d); i++)
        dispatch_run(&d, &items[i], i + 1 < count ? &items[i + 1] : NULL);
    dispatch_end(&d);
    client_publish(c, 1000000);
    resp_parser_release(&p);
    free(copy);
    struct iovec vec[64];
    int parts = reply_parts(&r, vec, 64);
    char *all = malloc(reply_size(&r) + 1), *to = all;
    for (int i = 0; i < parts; i++) {
        memcpy(to, vec[i].iov_base, vec[i].iov_len);
        to += vec[i].iov_len;
    }
    *to = '\0';
    reply_close(&r);
    return all;
}

static void expect_at(int line, struct client *c, const char *lines, const char *expected)
{
    char *got = answer(c, lines);
    if (strcmp(got, expected) != 0)
        test_fail(__FILE__, line, "%s gave %s, expected %s", lines, got, expected);
    free(got);
}
#define EXPECT(c, lines, expected) expect_at(__LINE__, c, lines, expected)

GO_TEST(dispatch, runs_in_order)
{
    start();
    struct client *c = join();
    EXPECT(c, "SET a 1\nINCR a\nGET a\nDEL a\nGET a\n", "+OK\r\n:2\r\n$1\r\n2\r\n:1\r\n$-1\r\n");
    EXPECT(c, "PING\nPING x\nECHO y\n", "+PONG\r\n$1\r\nx\r\n$1\r\ny\r\n");
    EXPECT(c, "SELECT 3\nSET a 3\nSELECT 0\nGET a\nSELECT 3\nGET a\n",
           "+OK\r\n+OK\r\n+OK\r\n$-1\r\n+OK\r\n$1\r\n3\r\n");
    CHECK_EQ(client_load(c->commands), 14);
    leave(c);
    server_free(&server);
}

GO_TEST(dispatch, refuses)
{
    start();
    struct client *c = join();
    EXPECT(c, "foo a 'b c'\n",
           "-ERR unknown command 'foo', with args beginning with: 'a' 'b c' \r\n");
    EXPECT(c, "client foo\n", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n");
    EXPECT(c, "GET\n", "-ERR wrong number of arguments for 'get' command\r\n");
    EXPECT(c, "client id x\n", "-ERR wrong number of arguments for 'client|id' command\r\n");
    EXPECT(c, "client\n", "-ERR wrong number of arguments for 'client' command\r\n");
    EXPECT(c, "PING\nhost: x\nPING\n", "+PONG\r\n");
    CHECK(client_flags(c) & CLIENT_CLOSE_NOW);
    leave(c);
    c = join();
    EXPECT(c, "QUIT\nPING\n", "+OK\r\n");
    leave(c);
    server_free(&server);
}

GO_TEST(dispatch, authenticates)
{
    start();
    struct client *before = join();
    EXPECT(before, "CONFIG SET requirepass secret\n", "+OK\r\n");
    struct client *c = join();
    EXPECT(c, "PING\nfoo\nGET\n",
           "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n"
           "-NOAUTH Authentication required.\r\n");
    EXPECT(
        c, "MULTI\nEXEC\n",
        "-NOAUTH Authentication required.\r\n-EXECABORT Transaction discarded because of: NOAUTH "
        "Authentication required.\r\n");
    EXPECT(c, "AUTH secre\nAUTH secrets\nAUTH other secret\nPING\n",
           "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
           "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
           "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
           "-NOAUTH Authentication required.\r\n");
    EXPECT(c, "AUTH secret\nPING\nRESET\nPING\n",
           "+OK\r\n+PONG\r\n+RESET\r\n-NOAUTH Authentication required.\r\n");
    EXPECT(before, "PING\n", "+PONG\r\n");
    leave(c);
    leave(before);
    server_free(&server);
}

GO_TEST(dispatch, multi)
{
    start();
    struct client *c = join();
    EXPECT(c, "MULTI\nSET a 1\nINCR a\nGET a\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    CHECK_EQ(client_load(c->queued), 3);
    CHECK(client_load(c->multi_bytes) > 0);
    EXPECT(c, "EXEC\nGET a\n", "*3\r\n+OK\r\n:2\r\n$1\r\n2\r\n$1\r\n2\r\n");
    CHECK_EQ(client_load(c->multi_bytes), 0);
    EXPECT(c, "MULTI\nEXEC\n", "+OK\r\n*0\r\n");
    EXPECT(c, "EXEC\nDISCARD\n", "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n");
    EXPECT(c, "MULTI\nMULTI\nGET a\nEXEC\n",
           "+OK\r\n-ERR Command 'multi' not allowed inside a transaction\r\n+QUEUED\r\n-EXECABORT "
           "Transaction discarded because of previous errors.\r\n");
    EXPECT(c, "MULTI\nSET a 9\nDISCARD\nGET a\n", "+OK\r\n+QUEUED\r\n+OK\r\n$1\r\n2\r\n");
    EXPECT(
        c, "MULTI\nSET a x\nINCR a\nSET a 7\nEXEC\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n-ERR value is not an integer or out "
        "of range\r\n+OK\r\n");
    EXPECT(
        c, "MULTI\nSELECT 2\nSET z 1\nFLUSHDB\nDBSIZE\nSELECT 0\nGET a\nEXEC\n",
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*6\r\n+OK\r\n+OK"
        "\r\n+OK\r\n:0\r\n+OK\r\n$1\r\n7\r\n");
    leave(c);
    server_free(&server);
}

GO_TEST(dispatch, watch)
{
    start();
    struct client *a = join(), *b = join();
    EXPECT(a, "WATCH k\nMULTI\nSET k a\n", "+OK\r\n+OK\r\n+QUEUED\r\n");
    EXPECT(b, "SET k b\n", "+OK\r\n");
    EXPECT(a, "EXEC\nGET k\n", "*-1\r\n$1\r\nb\r\n");
    EXPECT(a, "WATCH k\n", "+OK\r\n");
    CHECK_EQ(client_load(a->watched), 1);
    EXPECT(b, "SET other b\n", "+OK\r\n");
    EXPECT(a, "MULTI\nSET k a\nEXEC\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    CHECK_EQ(client_load(a->watched), 0);
    EXPECT(a, "WATCH k\nUNWATCH\n", "+OK\r\n+OK\r\n");
    EXPECT(b, "SET k c\n", "+OK\r\n");
    EXPECT(a, "MULTI\nGET k\nEXEC\n", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\nc\r\n");
    EXPECT(a, "WATCH k other\nMULTI\nGET k\n", "+OK\r\n+OK\r\n+QUEUED\r\n");
    leave(a); /* with its watches and its queue */
    EXPECT(b, "FLUSHALL\n", "+OK\r\n");
    leave(b);
    server_free(&server);
}

GO_TEST(dispatch, reply_modes)
{
    start();
    struct client *c = join();
    EXPECT(c, "CLIENT REPLY SKIP\nPING\nPING a\n", "$1\r\na\r\n");
    EXPECT(c, "CLIENT REPLY OFF\nPING\nfoo\nCLIENT REPLY SKIP\n", "");
    EXPECT(c, "PING\nCLIENT REPLY ON\nPING\n", "+OK\r\n+PONG\r\n");
    EXPECT(c, "HELLO 3\nGET nothing\nRESET\nGET nothing\n",
           "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n" REDIS_VERSION
           "\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:3\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$"
           "4\r\nrole\r\n"
           "$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n_\r\n+RESET\r\n$-1\r\n");
    leave(c);
    server_free(&server);
}

/* Keys beyond what a batch keeps hashes for. */
GO_TEST(dispatch, many_keys)
{
    start();
    struct client *c = join();
    char line[4096] = "MSET", expected[4096] = "+OK\r\n*60\r\n";
    for (int i = 0; i < 60; i++)
        snprintf(line + strlen(line), 32, " k%d v%d", i, i);
    strcat(line, "\nMGET");
    for (int i = 0; i < 60; i++) {
        snprintf(line + strlen(line), 32, " k%d", i);
        snprintf(expected + strlen(expected), 32, "$%d\r\nv%d\r\n", i < 10 ? 2 : 3, i);
    }
    strcat(line, "\n");
    EXPECT(c, line, expected);
    leave(c);
    server_free(&server);
}

/* Neighbours on one key share a lock; what comes between them must not find it held. */
GO_TEST(dispatch, hot_key)
{
    start();
    struct client *c = join();
    EXPECT(c, "INCR h\nINCR h\nGET h\nPING\nINCR h\nFLUSHALL\nINCR h\nINCR h\nGET\nINCR h\nfoo\n",
           ":1\r\n:2\r\n$1\r\n2\r\n+PONG\r\n:3\r\n+OK\r\n:1\r\n:2\r\n-ERR wrong number of "
           "arguments for "
           "'get' command\r\n:3\r\n-ERR unknown command 'foo', with args beginning with: \r\n");
    EXPECT(
        c,
        "INCR h\nMULTI\nINCR h\nINCR h\nEXEC\nWATCH h\nINCR h\nMULTI\nEXEC\nINCR h\nQUIT\nINCR h\n",
        ":4\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:5\r\n:6\r\n+OK\r\n:7\r\n+OK\r\n*-1\r\n:8\r\n+"
        "OK\r\n");
    leave(c);
    server_free(&server);
}

GO_TEST(client_registry, kills_by_filter)
{
    start();
    struct client *a = join(), *b = join(), *c = join();
    CHECK_EQ(a->id, 3);
    CHECK_EQ(client_registry_count(server.clients), 3);
    EXPECT(b, "CLIENT SETNAME bob\nSELECT 5\n", "+OK\r\n+OK\r\n");
    EXPECT(a, "CLIENT KILL NAME alice\n", ":0\r\n");
    EXPECT(a, "CLIENT KILL NAME bob DB 4\n", ":0\r\n");
    EXPECT(a, "CLIENT KILL ID 3 4 5 NOT-NAME bob\n", ":1\r\n");
    CHECK(!client_load(a->killed) && !client_load(b->killed) && client_load(c->killed));
    EXPECT(a, "CLIENT KILL ID 3 4 5 DB 5\n", ":1\r\n");
    CHECK(client_load(b->killed));
    EXPECT(a, "CLIENT KILL ID 3 SKIPME no\nPING\n", ":1\r\n");
    CHECK(client_flags(a) & CLIENT_CLOSE_AFTER_REPLY);
    leave(b);
    leave(a);
    leave(c);
    CHECK_EQ(client_registry_count(server.clients), 0);
    server_free(&server);
}

GO_TEST(client_registry, maximum)
{
    start();
    struct client *a = join();
    struct client *b = client_new(&server, NULL, 0);
    REQUIRE(b != NULL);
    CHECK(!client_registry_add(server.clients, b, 1));
    client_registry_remove(server.clients, b);
    CHECK_EQ(client_registry_count(server.clients), 1);
    client_free(b);
    leave(a);
    server_free(&server);
}

TEST(client, is_small)
{
    CHECK(sizeof(struct client) <= 400);
}
