/* pause_test.c - which commands wait, how pauses add up, and the end reaches everybody. */
#include "server/pause.h"

#include "server/client_registry.h"
#include "server/command.h"
#include "server/multi.h"

#include "support/testing.h"

#include <tuco/go.h>

static struct server server;
static struct client *client;

static void start(void)
{
    struct config *config = config_default();
    REQUIRE(config != NULL);
    REQUIRE(server_init(&server, config, "test") == 0);
    client = client_new(&server, NULL, 1);
    REQUIRE(client != NULL);
    REQUIRE(client_registry_add(server.clients, client, 10));
}

static void end(void)
{
    client_registry_remove(server.clients, client);
    client_free(client);
    server_free(&server);
}

static bool stops(const char *name)
{
    const struct command *row = command_by_name(slice_of(name));
    REQUIRE(row != NULL);
    return pause_stops(client, row);
}

GO_TEST(pause, which_commands_wait)
{
    start();
    CHECK(!stops("set") && !stops("get"));
    pause_begin(server.pause, PAUSE_WRITE, 100000);
    CHECK(stops("set") && stops("pfcount") && !stops("get") && !stops("exec"));
    multi_begin(client);
    REQUIRE(multi_queue(client, command_by_name(SLICE("get")), &SLICE("get"), 1, NULL, 0));
    CHECK(!stops("exec"));
    REQUIRE(multi_queue(client, command_by_name(SLICE("set")), &SLICE("set"), 1, NULL, 0));
    CHECK(stops("exec"));
    multi_discard(client);
    pause_begin(server.pause, PAUSE_ALL, 1000);
    CHECK(stops("get") && stops("client|unpause"));
    pause_end(server.pause);
    CHECK(!stops("set") && !stops("get"));
    end();
}

GO_TEST(pause, lasts_as_long_as_the_longest)
{
    start();
    CHECK_EQ(pause_left_ms(server.pause), 0);
    pause_begin(server.pause, PAUSE_WRITE, 0);
    CHECK(!stops("set"));
    pause_begin(server.pause, PAUSE_WRITE, 60000);
    pause_begin(server.pause, PAUSE_WRITE, 10);
    CHECK(pause_left_ms(server.pause) > 50000);
    pause_begin(server.pause, PAUSE_WRITE, INT64_MAX);
    CHECK(pause_left_ms(server.pause) > (int64_t)86400000);
    pause_end(server.pause);
    CHECK_EQ(pause_left_ms(server.pause), 0);
    end();
}

GO_TEST(pause, ends_by_itself)
{
    start();
    pause_begin(server.pause, PAUSE_ALL, 20);
    CHECK(pause_hold(client));
    CHECK(client_flags(client) & CLIENT_PAUSED);
    for (int i = 0; i < 500 && stops("get"); i++)
        tu_sleep(TU_MS * 2);
    CHECK(!stops("get"));
    CHECK(!pause_hold(client));
    CHECK(!(client_flags(client) & CLIENT_PAUSED));
    end();
}
