/* info_test.c - INFO's sections and fields against Valkey 9.1's list, on a server without sockets. */
#include "server/client_registry.h"
#include "server/command.h"
#include "server/config_apply.h"
#include "server/info.h"
#include "server/server.h"
#include "store/keyspace.h"
#include "store/transaction.h"

#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>

static struct server server;

static const struct config *start_server(void)
{
    struct config *config = config_default();
    REQUIRE(config != NULL);
    REQUIRE(server_init(&server, config, "/usr/bin/tuco-server") == 0);
    return atomic_load(&server.config.current);
}

static struct text info(uint32_t sections)
{
    struct text t = {0};
    info_print(&server, atomic_load(&server.config.current), sections, &t);
    REQUIRE(!t.failed);
    return t;
}

/* "\nname:" stands in the text; returns where its value begins. */
static const char *field(const struct text *t, const char *name)
{
    char wanted[300];
    snprintf(wanted, sizeof wanted, "\n%s:", name);
    const char *found = strstr(t->data, wanted);
    return found == NULL ? NULL : found + strlen(wanted);
}

/* Fields of Valkey that we leave out on purpose: a library takes the server for Valkey by the first
 * two; modules and engines are listed where there are some; no socket listens in this test. */
static bool is_left_out(const char *name)
{
    static const char *const names[] = {"valkey_version", "valkey_release_stage", "module",
                                        "engine_0", "listener0"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

GO_TEST(info, fields_are_those_of_valkey)
{
    char path[1024], line[256];
    const char *end = strstr(__FILE__, "src/server/");
    REQUIRE(end != NULL);
    snprintf(path, sizeof path, "%.*stests/data/info_fields.txt", (int)(end - __FILE__), __FILE__);
    FILE *f = fopen(path, "r");
    REQUIRE(f != NULL);
    (void)start_server();
    struct text t = info(INFO_ALL);
    const char *at = t.data;
    int fields = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || is_left_out(line))
            continue;
        bool title = line[0] == '#';
        const char *found = title ? strstr(t.data, line) : field(&t, line);
        if (found == NULL)
            test_fail(__FILE__, __LINE__, "'%s' is missing", line);
        else if (found < at)
            test_fail(__FILE__, __LINE__, "'%s' is out of order", line);
        else
            at = found;
        fields += !title;
    }
    CHECK(fields > 200);
    fclose(f);
    text_free(&t);
    server_free(&server);
}

GO_TEST(info, lines_parse)
{
    (void)start_server();
    struct text t = info(INFO_ALL);
    const char *p = t.data;
    CHECK(strncmp(p, "# Server\r\n", 10) == 0);
    while (*p != '\0') {
        const char *end = strstr(p, "\r\n");
        REQUIRE(end != NULL);
        bool empty = end == p, title = p[0] == '#';
        const char *colon = memchr(p, ':', (size_t)(end - p));
        if (!empty && !title && (colon == NULL || colon == p))
            test_fail(__FILE__, __LINE__, "no name and value: '%.*s'", (int)(end - p), p);
        CHECK(memchr(p, '\n', (size_t)(end - p)) == NULL);
        p = end + 2;
    }
    text_free(&t);
    server_free(&server);
}

GO_TEST(info, sections)
{
    struct slice two[] = {SLICE("CPU"), SLICE("keyspace"), SLICE("nosuch")};
    struct slice all[] = {SLICE("everything")}, both[] = {SLICE("cpu"), SLICE("default")};
    CHECK_EQ(info_sections(NULL, 0), INFO_DEFAULT);
    CHECK_EQ(info_sections(two, 3), INFO_CPU | INFO_KEYSPACE);
    CHECK_EQ(info_sections(two + 2, 1), 0);
    CHECK_EQ(info_sections(all, 1), INFO_ALL);
    CHECK_EQ(info_sections(both, 2), INFO_DEFAULT);
    (void)start_server();
    struct text t = info(0);
    CHECK(t.data != NULL && t.size == 0);
    text_free(&t);
    t = info(INFO_CPU | INFO_CLUSTER);
    CHECK(strstr(t.data, "\r\n\r\n# Cluster\r\ncluster_enabled:0\r\n") != NULL);
    CHECK(strstr(t.data, "# Server") == NULL);
    text_free(&t);
    server_free(&server);
}

static void add_key(const char *name, int64_t expires_in_ms)
{
    struct transaction tx;
    struct slice prefix = slice_of(name);
    transaction_init(&tx, server.keyspace, 0, server.start_ms);
    REQUIRE(keyspace_populate(&tx, 1, prefix, 10) == STORE_OK);
    char full[64];
    int size = snprintf(full, sizeof full, "%s:0", name);
    struct slice key = {full, (size_t)size};
    struct store_key k = {key, keyspace_hash(server.keyspace, key)};
    transaction_lock(&tx, &k.hash, 1);
    if (expires_in_ms != 0)
        CHECK(keyspace_expire_at(&tx, k, server.start_ms + expires_in_ms, 0) == STORE_OK);
    transaction_unlock(&tx);
}

GO_TEST(info, numbers_are_real)
{
    (void)start_server();
    unsigned id = command_id(command_by_name(SLICE("get")));
    add_key("a", 0);
    add_key("b", 1000000);
    stats_add(server.stats, STAT_COMMANDS, 12);
    stats_command(server.stats, id, 2000, false, true);
    stats_command(server.stats, id, 4000, true, true);
    stats_command_rejected(server.stats, id);
    stats_error(server.stats, SLICE("WRONGTYPE no"));
    struct text t = info(INFO_ALL);
    CHECK(strncmp(field(&t, "total_commands_processed"), "12\r\n", 4) == 0);
    CHECK(strncmp(field(&t, "db0"), "keys=2,expires=1,avg_ttl=0", 26) == 0);
    CHECK(strncmp(field(&t, "cmdstat_get"),
                  "calls=2,usec=6,usec_per_call=3.00,rejected_calls=1,failed_calls=1\r\n",
                  66) == 0);
    CHECK(strncmp(field(&t, "errorstat_WRONGTYPE"), "count=1\r\n", 9) == 0);
    CHECK(strncmp(field(&t, "latency_percentiles_usec_get"), "p50=2.007,p99=4.015,p99.9=4.015\r\n",
                  32) == 0);
    CHECK(strncmp(field(&t, "maxmemory_policy"), "noeviction\r\n", 12) == 0);
    CHECK(atoll(field(&t, "used_memory")) > 0);
    CHECK(atoll(field(&t, "used_memory_rss")) > 1000000);
    CHECK(field(&t, "redis_version") != NULL && field(&t, "valkey_version") == NULL);
    text_free(&t);
    server_free(&server);
}

TEST(info, human_bytes)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0B"},          {1023, "1023B"},         {1024, "1.00K"},
                 {1288256, "1.23M"}, {25276510208, "23.54G"}, {UINT64_MAX, "16.00E"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];
        info_human_bytes(text, sizeof text, cases[i].bytes);
        if (strcmp(text, cases[i].text) != 0)
            test_fail(__FILE__, __LINE__, "%s, expected %s", text, cases[i].text);
    }
}

/* ---- CONFIG SET on this server ---- */

static const char *change(const char *line)
{
    static struct config_error error;
    struct words w;
    REQUIRE(words_split(slice_of(line), &w) == 0);
    struct config_change c = {.words = w.items, .count = w.count, .may_park = true};
    int rc = config_change(&server, &c, &error);
    words_free(&w);
    return rc == 0 ? NULL : error.text;
}

static void check_change(const char *line, const char *expected)
{
    const char *got = change(line);
    if ((got == NULL) != (expected == NULL) || (got != NULL && strcmp(got, expected) != 0))
        test_fail(__FILE__, __LINE__, "'%s' gives '%s', expected '%s'", line, got ? got : "OK",
                  expected ? expected : "OK");
}

GO_TEST(config_change, all_or_nothing)
{
    const struct config *before = start_server();
    check_change("maxmemory 1gb hz x",
                 "ERR CONFIG SET failed (possibly related to argument 'hz') - "
                 "argument couldn't be parsed into an integer");
    check_change("maxmemory 1gb nope 2",
                 "ERR Unknown option or number of arguments for CONFIG SET - 'nope'");
    check_change(
        "maxmemory 1gb MaxMemory 2gb",
        "ERR CONFIG SET failed (possibly related to argument 'MaxMemory') - duplicate parameter");
    check_change("maxmemory 1gb databases 2", "ERR CONFIG SET failed (possibly related to argument "
                                              "'databases') - can't set immutable config");
    check_change("maxmemory 1gb dir /tmp",
                 "ERR CONFIG SET failed (possibly related to argument 'dir') - "
                 "can't set protected config");
    CHECK(atomic_load(&server.config.current) == before);
    CHECK_EQ(server.maxmemory_bytes, 0);
    check_change("maxmemory 1gb hz 20", NULL);
    CHECK_EQ(atomic_load(&server.config.current)->maxmemory, 1 << 30);
    CHECK_EQ(atomic_load(&server.config.current)->hz, 20);
    CHECK_EQ(server.maxmemory_bytes, 1 << 30);
    check_change("slowlog-max-len 5 commandlog-slow-execution-max-len 6", NULL);
    CHECK_EQ(atomic_load(&server.config.current)->commandlog_slow_execution_max_len, 6);
    server_free(&server);
}

/* An effect that fails puts back the effects that came before it. */
GO_TEST(config_change, failed_effect_is_undone)
{
    const struct config *before = start_server();
    const char *got = change("maxmemory 1gb maxclients 4000000000");
    CHECK(got != NULL && strstr(got, "argument 'maxclients') - The operating system is not able to "
                                     "handle the specified number of clients, try with ") != NULL);
    CHECK(atomic_load(&server.config.current) == before);
    CHECK_EQ(server.maxmemory_bytes, 0);
    server_free(&server);
}
