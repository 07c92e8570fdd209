/* command_log_test.c - what an entry keeps of a call, the bound of each log, readers beside writers. */
#include "server/command_log.h"

#include "server/client.h"
#include "server/command.h"
#include "server/server.h"

#include "support/testing.h"

#include <stdio.h>
#include <tuco/go.h>
#include <tuco/sync.h>

static struct server server;
static struct client *client;
static struct config *config;

static void start(void)
{
    struct config *first = config_default();
    config = config_default();
    REQUIRE(first != NULL && config != NULL);
    REQUIRE(server_init(&server, first, "test") == 0);
    client = client_new(&server, NULL, 1);
    REQUIRE(client != NULL);
    config->commandlog_execution_slower_than = 10;
    config->commandlog_request_larger_than = 100;
    config->commandlog_reply_larger_than = 1000;
    config->commandlog_slow_execution_max_len = 3;
}

static void end(void)
{
    client_free(client);
    config_free(config);
    server_free(&server);
}

static void add(const char *name, const struct slice *argv, size_t argc, int64_t slow, int64_t in,
                int64_t out)
{
    struct call call = {.server = &server,
                        .client = client,
                        .command = command_by_name(slice_of(name)),
                        .argv = argv,
                        .argc = argc};
    struct command_cost cost = {{slow, in, out}};
    REQUIRE(call.command != NULL);
    if (command_log_wants(config, &cost))
        command_log_add(server.command_log, config, &call, &cost, 1700000000);
}

static void expect_word(const struct command_log_entry *e, uint32_t i, const char *word)
{
    if (!slice_equal(e->argv[i], slice_of(word)))
        test_fail(__FILE__, __LINE__, "word %u is %.*s, not %s", i, (int)e->argv[i].size,
                  e->argv[i].data, word);
}

GO_TEST(command_log, thresholds)
{
    start();
    struct slice argv[] = {SLICE("GET"), SLICE("k")};
    add("get", argv, 2, 9, 99, 999);
    for (int type = 0; type < COMMAND_LOG_TYPES; type++)
        CHECK_EQ(command_log_length(server.command_log, (enum command_log_type)type), 0);
    add("get", argv, 2, 10, 99, 999);
    add("get", argv, 2, 9, 100, 5000);
    CHECK_EQ(command_log_length(server.command_log, COMMAND_LOG_SLOW), 1);
    CHECK_EQ(command_log_length(server.command_log, COMMAND_LOG_LARGE_REQUEST), 1);
    CHECK_EQ(command_log_length(server.command_log, COMMAND_LOG_LARGE_REPLY), 1);
    config->commandlog_execution_slower_than = -1;
    config->commandlog_large_request_max_len = 0;
    add("get", argv, 2, INT64_MAX, 100, 0);
    CHECK_EQ(command_log_length(server.command_log, COMMAND_LOG_SLOW), 1);
    CHECK_EQ(command_log_length(server.command_log, COMMAND_LOG_LARGE_REQUEST), 1);
    end();
}

GO_TEST(command_log, keeps_the_newest)
{
    start();
    char text[5][8];
    for (int i = 0; i < 5; i++) {
        struct slice argv[] = {SLICE("GET"), {text[i], 1}};
        text[i][0] = (char)('a' + i);
        add("get", argv, 2, 10 + i, 0, 0);
    }
    struct command_log_entry **entries;
    CHECK_EQ(command_log_length(server.command_log, COMMAND_LOG_SLOW), 3);
    CHECK_EQ(command_log_newest(server.command_log, COMMAND_LOG_SLOW, 2, &entries), 2);
    CHECK_EQ(entries[0]->id, 4);
    CHECK_EQ(entries[0]->cost, 14);
    CHECK_EQ(entries[1]->id, 3);
    CHECK_EQ(entries[0]->time_s, 1700000000);
    expect_word(entries[0], 1, "e");
    command_log_reset(server.command_log, COMMAND_LOG_SLOW); /* the reader's stay alive */
    expect_word(entries[1], 1, "d");
    command_log_release(entries, 2);
    CHECK_EQ(command_log_newest(server.command_log, COMMAND_LOG_SLOW, 9, &entries), 0);
    CHECK(entries == NULL);
    struct slice argv[] = {SLICE("GET"), SLICE("k")};
    for (int i = 0; i < 3; i++)
        add("get", argv, 2, 10, 0, 0);
    config->commandlog_slow_execution_max_len = 0; /* off: nothing is forgotten */
    command_log_trim(server.command_log, config);
    CHECK_EQ(command_log_length(server.command_log, COMMAND_LOG_SLOW), 3);
    config->commandlog_slow_execution_max_len = 1;
    command_log_trim(server.command_log, config);
    CHECK_EQ(command_log_length(server.command_log, COMMAND_LOG_SLOW), 1);
    CHECK_EQ(command_log_newest(server.command_log, COMMAND_LOG_SLOW, 9, &entries), 1);
    CHECK_EQ(entries[0]->id, 7);
    command_log_release(entries, 1);
    end();
}

GO_TEST(command_log, cuts_words)
{
    start();
    static char big[COMMAND_LOG_BYTES + 7];
    static struct slice many[COMMAND_LOG_WORDS + 2];
    memset(big, 'x', sizeof big);
    many[0] = SLICE("MGET");
    for (int i = 1; i < COMMAND_LOG_WORDS + 2; i++)
        many[i] = (struct slice){big, COMMAND_LOG_BYTES};
    many[2].size = sizeof big;
    REQUIRE(client_set_string(client, CLIENT_NAME, SLICE("bob")));
    add("mget", many, COMMAND_LOG_WORDS + 2, 50, 0, 0);
    add("mget", many, COMMAND_LOG_WORDS, 50, 0, 0);
    struct command_log_entry **entries;
    REQUIRE(command_log_newest(server.command_log, COMMAND_LOG_SLOW, UINT64_MAX, &entries) == 2);
    CHECK_EQ(entries[1]->argc, COMMAND_LOG_WORDS);
    CHECK_EQ(entries[1]->argv[1].size, COMMAND_LOG_BYTES);
    CHECK_EQ(entries[1]->argv[2].size, COMMAND_LOG_BYTES + strlen("... (7 more bytes)"));
    expect_word(entries[1], COMMAND_LOG_WORDS - 1, "... (3 more arguments)");
    CHECK_EQ(entries[0]->argv[COMMAND_LOG_WORDS - 1].size, COMMAND_LOG_BYTES);
    CHECK(slice_equal(entries[0]->name, SLICE("bob")));
    command_log_release(entries, 2);
    end();
}

GO_TEST(command_log, hides_passwords)
{
    start();
    struct slice auth[] = {SLICE("AUTH"), SLICE("u"), SLICE("pw")};
    struct slice hello[] = {SLICE("HELLO"), SLICE("3"), SLICE("SETNAME"), SLICE("n"),
                            SLICE("auth"),  SLICE("u"), SLICE("pw")};
    struct slice set[] = {SLICE("CONFIG"), SLICE("SET"),        SLICE("port"),
                          SLICE("1"),      SLICE("masterauth"), SLICE("pw")};
    struct command_log_entry **e;
    add("auth", auth, 3, 50, 0, 0);
    add("hello", hello, 7, 50, 0, 0);
    add("config|set", set, 6, 50, 0, 0);
    REQUIRE(command_log_newest(server.command_log, COMMAND_LOG_SLOW, 10, &e) == 3);
    expect_word(e[2], 1, "(redacted)");
    expect_word(e[2], 2, "(redacted)");
    expect_word(e[1], 3, "n");
    expect_word(e[1], 5, "(redacted)");
    expect_word(e[1], 6, "(redacted)");
    expect_word(e[0], 3, "1");
    expect_word(e[0], 5, "(redacted)");
    command_log_release(e, 3);
    end();
}

enum { ROUNDS = 2000, WRITERS = 4 };

static void write_many(struct tu_wait_group *group)
{
    struct slice argv[] = {SLICE("GET"), SLICE("key")};
    for (int i = 0; i < ROUNDS; i++) {
        add("get", argv, 2, 10, 0, 0);
        if (i % 64 == 0)
            tu_yield();
    }
    tu_wait_group_done(group);
}

GO_TEST(command_log, readers_beside_writers)
{
    start();
    struct tu_wait_group group = {0};
    tu_wait_group_add(&group, WRITERS);
    for (int i = 0; i < WRITERS; i++)
        REQUIRE(tu_go(write_many, &group) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct command_log_entry **e;
        size_t found = command_log_newest(server.command_log, COMMAND_LOG_SLOW, 3, &e);
        CHECK(found <= 3);
        for (size_t k = 1; k < found; k++)
            CHECK_EQ(e[k]->id + 1, e[k - 1]->id);
        if (i % 100 == 0)
            command_log_reset(server.command_log, COMMAND_LOG_SLOW);
        command_log_release(e, found);
        tu_yield();
    }
    CHECK_EQ(tu_wait_group_wait(&group), 0);
    CHECK(command_log_length(server.command_log, COMMAND_LOG_SLOW) <= 3);
    end();
}
