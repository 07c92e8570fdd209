/* cmd_connection.c - PING, ECHO, AUTH, HELLO, SELECT, RESET, QUIT; CLIENT's row, whose subcommands
 * are in cmd_client.c.
 */
#include "base/number.h"
#include "server/arguments.h"
#include "server/client.h"
#include "server/commands/cmd_client.h"
#include "server/output.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "server/version.h"
#include "store/keyspace.h"

#include <limits.h>

static bool is_word(struct slice s, const char *word)
{
    return slice_equal_nocase(s, slice_of(word));
}

static void ping(struct call *call)
{
    if (call->argc > 2)
        reply_error(call->reply, "ERR wrong number of arguments for 'ping' command");
    else if (call->argc == 2)
        reply_bulk(call->reply, call->argv[1]);
    else
        reply_raw(call->reply, SLICE("+PONG\r\n"));
}

static void echo(struct call *call)
{
    reply_bulk(call->reply, call->argv[1]);
}

static bool auth_secret(const struct slice *argv, size_t argc, size_t index)
{
    return index > 0;
}

/* User and password behind AUTH. */
static bool hello_secret(const struct slice *argv, size_t argc, size_t index)
{
    return (index > 2 && index + 1 < argc && is_word(argv[index - 1], "AUTH")) ||
           (index > 3 && is_word(argv[index - 2], "AUTH"));
}

static void quit(struct call *call)
{
    reply_ok(call->reply);
    client_set_flags(call->client, CLIENT_CLOSE_AFTER_REPLY, 0);
}

static void reset(struct call *call)
{
    client_reset(call->client);
    reply_set_protocol(call->reply, 2);
    reply_simple(call->reply, "RESET");
}

static void select_db(struct call *call)
{
    int64_t db;
    if (!number_parse_int64(call->argv[1], &db))
        reply_error(call->reply, ERR_NOT_INTEGER);
    else if (db < INT_MIN || db > INT_MAX)
        reply_errorf(call->reply, "ERR value is out of range, value must between %d and %d",
                     INT_MIN, INT_MAX);
    else if (db < 0 || db >= keyspace_databases(call->server->keyspace))
        reply_error(call->reply, ERR_DB_RANGE);
    else {
        client_store(call->client->db, (uint32_t)db);
        reply_ok(call->reply);
    }
}

/* ---- AUTH and HELLO ---- */

/* Takes as long for a wrong password as for the right one, whatever they share. */
static bool same_secret(struct slice given, const char *secret)
{
    size_t size = strlen(secret);
    unsigned difference = given.size != size;
    for (size_t i = 0; i < given.size; i++)
        difference |= (unsigned char)given.data[i] ^ (unsigned char)secret[size ? i % size : 0];
    return difference == 0;
}

/* Checks user and password: true, and the client is authenticated, or an error was replied. */
static bool authenticate(struct call *call, struct slice user, struct slice password)
{
    const char *secret = call->client->pin.config->requirepass;
    bool ok =
        slice_equal(user, SLICE("default")) && (secret[0] == '\0' || same_secret(password, secret));
    if (ok) {
        client_set_flags(call->client, CLIENT_AUTHENTICATED, 0);
        return true;
    }
    stats_add(call->server->stats, STAT_AUTH_DENIED, 1);
    reply_error(call->reply, ERR_WRONGPASS);
    return false;
}

static void auth(struct call *call)
{
    if (call->argc > 3) {
        reply_error(call->reply, ERR_SYNTAX);
        return;
    }
    struct slice user = SLICE("default");
    if (call->argc == 3)
        user = call->argv[1];
    else if (call->client->pin.config->requirepass[0] == '\0') {
        reply_error(call->reply, ERR_NO_PASSWORD);
        return;
    }
    if (authenticate(call, user, call->argv[call->argc - 1]))
        reply_ok(call->reply);
}

struct hello {
    int64_t protocol; /* 0: stays */
    const struct slice *user, *password, *name;
};

static bool parse_hello(struct call *call, struct hello *hello)
{
    if (call->argc < 2)
        return true;
    if (!number_parse_int64(call->argv[1], &hello->protocol)) {
        reply_error(call->reply, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (hello->protocol < 2 || hello->protocol > 3) {
        reply_error(call->reply, ERR_NOPROTO);
        return false;
    }
    for (size_t i = 2; i < call->argc; i++) {
        size_t more = call->argc - i - 1;
        if (is_word(call->argv[i], "AUTH") && more >= 2) {
            hello->user = &call->argv[i + 1];
            hello->password = &call->argv[i + 2];
            i += 2;
        } else if (is_word(call->argv[i], "SETNAME") && more >= 1) {
            hello->name = &call->argv[++i];
            if (!client_name_ok(*hello->name)) {
                reply_error(call->reply, ERR_CLIENT_NAME);
                return false;
            }
        } else {
            struct slice word = call->argv[i];
            reply_errorf(call->reply, "ERR Syntax error in HELLO option '%.*s'",
                         word.size < 128 ? (int)word.size : 128, word.data);
            return false;
        }
    }
    return true;
}

static void hello(struct call *call)
{
    struct hello hello = {0};
    struct client *c = call->client;
    struct reply *r = call->reply;
    if (!parse_hello(call, &hello))
        return;
    if (hello.user && !authenticate(call, *hello.user, *hello.password))
        return;
    if (client_needs_auth(c, c->pin.config)) {
        reply_error(r, ERR_HELLO_NOAUTH);
        return;
    }
    if (hello.name && !client_command_set_name(call, *hello.name))
        return;
    if (hello.protocol) {
        client_store(c->protocol, (uint32_t)hello.protocol);
        reply_set_protocol(r, (int)hello.protocol);
    }
    reply_map(r, 7);
    reply_bulk_string(r, "server");
    reply_bulk_string(r, "redis");
    reply_bulk_string(r, "version");
    reply_bulk_string(r, REDIS_VERSION);
    reply_bulk_string(r, "proto");
    reply_integer(r, reply_protocol(r));
    reply_bulk_string(r, "id");
    reply_integer(r, (int64_t)c->id);
    reply_bulk_string(r, "mode");
    reply_bulk_string(r, "standalone");
    reply_bulk_string(r, "role");
    reply_bulk_string(r, "master");
    reply_bulk_string(r, "modules");
    reply_array(r, 0);
}

/* ---- rows ---- */

static const struct arg ping_args[] = {ARG_STRING("message", ARG_OPTIONAL)};
static const struct arg echo_args[] = {ARG_STRING("message")};
static const struct arg select_args[] = {ARG_INTEGER("index")};
static const struct arg auth_args[] = {ARG_STRING("username", ARG_OPTIONAL, .since = "6.0.0"),
                                       ARG_STRING("password")};
static const struct arg hello_args[] = {
    ARG_BLOCK("arguments", (ARG_OPTIONAL), ARG_INTEGER("protover"),
              ARG_BLOCK("auth", (ARG_OPTIONAL, .token = "AUTH"), ARG_STRING("username"),
                        ARG_STRING("password")),
              ARG_STRING("clientname", .token = "SETNAME", ARG_OPTIONAL)),
};
static const char *const ping_tips[] = {"request_policy:all_shards",
                                        "response_policy:all_succeeded", NULL};

#define ROW(word, fn, words, row_flags, version, cost, text, ...)                              \
    {                                                                                          \
        .name = (word), .run = (fn), .arity = (words), .flags = (row_flags),                   \
        .acl = ACL_CONNECTION, .scope = SCOPE_NONE, .group = "connection", .since = (version), \
        .complexity = (cost), .summary = (text), ##__VA_ARGS__                                 \
    }
/* These read their words themselves; the grammar documents them. */
#define WORDS(array) \
    .args = (array), .arg_count = ARG_COUNT(array), .parse = client_command_any_words

enum { EARLY = CMD_NO_AUTH | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY };

static const struct command rows[] = {
    ROW("AUTH", auth, -2, EARLY, "1.0.0",
        "O(N) where N is the number of passwords defined for the user", "Proves who the client is.",
        WORDS(auth_args), .secret = auth_secret,
        .history = ROW_WORDS("6.0.0", "A user name before the password.")),
    {.name = "CLIENT",
     .arity = -2,
     .scope = SCOPE_NONE,
     .group = "connection",
     .since = "2.4.0",
     .complexity = "Depends on subcommand.",
     .summary = "Commands about connections.",
     .subcommands = client_subcommands,
     .subcommand_count = CLIENT_SUBCOMMANDS},
    ROW("ECHO", echo, 2, CMD_LOADING | CMD_STALE | CMD_FAST, "1.0.0", "O(1)",
        "Returns its argument.", WORDS(echo_args)),
    ROW("HELLO", hello, -1, EARLY, "6.0.0", "O(1)",
        "Chooses the protocol, and may authenticate and name the connection.", WORDS(hello_args),
        .secret = hello_secret,
        .history = ROW_WORDS("8.1.0", "Tells the availability-zone, where one is configured.",
                             "6.2.0", "Without arguments, tells about the connection as it is.")),
    ROW("PING", ping, -1, CMD_FAST, "1.0.0", "O(1)", "Shows that the server answers.",
        WORDS(ping_args), .tips = ping_tips),
    ROW("QUIT", quit, -1, EARLY | CMD_IMMEDIATE_IN_MULTI, "1.0.0", "O(1)",
        "Closes the connection."),
    ROW("RESET", reset, 1, EARLY | CMD_IMMEDIATE_IN_MULTI, "6.2.0", "O(1)",
        "Puts the connection in the state it had after connecting."),
    ROW("SELECT", select_db, 2, CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY, "1.0.0",
        "O(1)", "Chooses the database for the commands that follow.", WORDS(select_args)),
};

const struct command_family connection_family = COMMAND_FAMILY(rows);
