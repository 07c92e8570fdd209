/* Random calls drawn from the rows' own grammars, run against a store in this process: whatever the
 * words, a handler gives exactly one well-formed reply, in RESP2 and RESP3, and leaves nothing locked.
 * Run it under ASan and UBSan. */
#include "server/arguments.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/command.h"
#include "server/config.h"
#include "server/output.h"
#include "server/server.h"
#include "server/stats.h"
#include "store/keyspace.h"
#include "support/testing.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>
#include <tuco/mem.h>

enum { WORDS_MAX = 40, REPLY_MAX = 1 << 22 };

static struct random_state rng;
static struct slice words[WORDS_MAX];
static size_t word_count;
static char letters[WORDS_MAX][32]; /* tokens in mixed case */

static bool chance(unsigned percent)
{
    return random_below(&rng, 100) < percent;
}

static void add(struct slice word)
{
    if (word_count < WORDS_MAX)
        words[word_count++] = word;
}

static void add_token(const char *token)
{
    if (word_count == WORDS_MAX)
        return;
    char *copy = letters[word_count];
    size_t size = strlen(token);
    REQUIRE(size < sizeof(letters[0]));
    for (size_t i = 0; i < size; i++)
        copy[i] =
            chance(50) && token[i] >= 'A' && token[i] <= 'Z' ? (char)(token[i] | 32) : token[i];
    add((struct slice){copy, size});
}

static struct slice pick(const char *const *from, size_t count)
{
    return slice_of(from[random_below(&rng, count)]);
}

static void add_value(enum arg_type type)
{
    static const char *const keys[] = {"a", "b", "c", "k:1", "k:2", "n", "m", "missing", ""};
    static const char *const strings[] = {
        "",
        "x",
        "abc",
        "10",
        "-3",
        "9223372036854775807",
        "1.5",
        "string",
        "hash",
        "get",
        "set",
        "a longer value, not inline "
        "with its key any more: about a hundred bytes of text here"};
    static const char *const numbers[] = {"0",
                                          "1",
                                          "-1",
                                          "2",
                                          "3",
                                          "100",
                                          "1000000",
                                          "abc",
                                          "",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "9223372036854775808",
                                          "4294967296",
                                          "1.5",
                                          "99999999999"};
    static const char *const patterns[] = {"*", "k*", "k:[1-2]", "?", "[^a]", "[", "\\", "a"};
    switch (type) {
    case ARG_TYPE_KEY: add(pick(keys, ARG_COUNT(keys))); break;
    case ARG_TYPE_PATTERN: add(pick(patterns, ARG_COUNT(patterns))); break;
    case ARG_TYPE_INTEGER:
    case ARG_TYPE_UNIX_TIME:
    case ARG_TYPE_DOUBLE: add(pick(numbers, ARG_COUNT(numbers))); break;
    default: add(pick(strings, ARG_COUNT(strings))); break;
    }
}

static void add_args(const struct arg *args, size_t count);

static void add_arg(const struct arg *arg)
{
    unsigned times = arg->multiple ? 1 + (unsigned)random_below(&rng, 3) : 1;
    for (unsigned i = 0; i < times; i++) {
        if (arg->token != NULL && (i == 0 || arg->multiple_token))
            add_token(arg->token);
        if (arg->type == ARG_TYPE_ONEOF)
            add_arg(&arg->children[random_below(&rng, arg->child_count)]);
        else if (arg->type == ARG_TYPE_BLOCK)
            add_args(arg->children, arg->child_count);
        else if (arg->type != ARG_TYPE_PURE_TOKEN)
            add_value(arg->type);
    }
}

static void add_args(const struct arg *args, size_t count)
{
    for (size_t i = 0; i < count; i++)
        while (args[i].optional ? chance(35) : true) {
            add_arg(&args[i]);
            if (!args[i].optional || chance(80))
                break;
        }
}

/* A call of the row; now and then with words exchanged, missing or doubled. */
static void draw_call(const struct command *command)
{
    word_count = 0;
    if (command->parent != NULL)
        add_token(command->parent->name);
    add_token(command->name);
    size_t fixed = word_count;
    add_args(command->args, command->arg_count);
    if (word_count > fixed && chance(15)) {
        size_t i = fixed + random_below(&rng, word_count - fixed);
        size_t j = fixed + random_below(&rng, word_count - fixed);
        struct slice word = words[i];
        words[i] = words[j];
        words[j] = word;
    }
    if (word_count > fixed && chance(8))
        word_count--;
    if (chance(8))
        add_value(ARG_TYPE_STRING);
}

/* ---- replies ---- */

static char text[REPLY_MAX];

static const char *line_end(const char *at, const char *end)
{
    const char *cr = memchr(at, '\r', (size_t)(end - at));
    REQUIRE(cr != NULL && cr + 1 < end && cr[1] == '\n');
    return cr;
}

/* Reads one value and returns what follows it. */
static const char *read_value(const char *at, const char *end, int protocol, int depth)
{
    REQUIRE(at < end && depth < 16);
    char type = *at;
    const char *eol = line_end(at, end), *rest = eol + 2;
    REQUIRE(strchr(protocol == 3 ? "+-:$*%~_,#" : "+-:$*", type) != NULL);
    if (strchr("+-:_,#", type) != NULL)
        return rest;
    long size = strtol(at + 1, NULL, 10);
    if (size < 0) {
        REQUIRE(size == -1 && protocol == 2);
        return rest;
    }
    if (type == '$') {
        REQUIRE(end - rest >= size + 2 && rest[size] == '\r' && rest[size + 1] == '\n');
        return rest + size + 2;
    }
    for (long i = 0; i < (type == '%' ? 2 * size : size); i++)
        rest = read_value(rest, end, protocol, depth + 1);
    return rest;
}

static void check_reply(struct reply *r, int protocol, const char *name)
{
    static struct iovec parts[1024]; /* not on a goroutine's small stack */
    int count = reply_parts(r, parts, 1024);
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        REQUIRE(size + parts[i].iov_len <= sizeof(text));
        memcpy(text + size, parts[i].iov_base, parts[i].iov_len);
        size += parts[i].iov_len;
    }
    if (size == 0 || read_value(text, text + size, protocol, 0) != text + size) {
        test_fail(__FILE__, __LINE__, "%s: not one reply: %.*s", name,
                  (int)(size < 200 ? size : 200), text);
        test_fail_now();
    }
}

/* ---- calls ---- */

struct bench {
    struct server server;
    struct client client;
    struct config *config;
    int64_t now_ms;
};

static void run_call(struct bench *b, const struct command *command, int protocol)
{
    char room[4096];
    const char *error = NULL;
    struct reply reply;
    struct args args;
    struct transaction tx;
    uint32_t at[WORDS_MAX];
    uint64_t hashes[WORDS_MAX];
    if (!command_arity_ok(command, word_count))
        return;
    int keys = command_keys(command, words, word_count, at, WORDS_MAX);
    for (int i = 0; i < keys; i++)
        hashes[i] = keyspace_hash(b->server.keyspace, words[at[i]]);
    transaction_init(&tx, b->server.keyspace, 0, b->now_ms);
    reply_open(&reply, room, sizeof(room), protocol);
    struct call call = {.server = &b->server,
                        .client = &b->client,
                        .command = command,
                        .argv = words,
                        .argc = word_count,
                        .key_hashes = hashes,
                        .key_count = keys > 0 ? (size_t)keys : 0,
                        .args = &args,
                        .tx = &tx,
                        .reply = &reply};
    if (command->scope == SCOPE_KEYS)
        transaction_lock(&tx, hashes, call.key_count);
    memset(&args, 0xee, sizeof(args));
    if (args_parse(command, words, word_count, &args, &error))
        command->run(&call);
    else
        reply_error(&reply, error);
    transaction_unlock(&tx);
    CHECK(!transaction_holds_any(&tx));
    if (client_flags(&b->client) & CLIENT_BLOCKED) {
        CHECK_EQ(reply_size(&reply), 0);
        CHECK(!blocked_settle(&b->client, &reply));
        CHECK(blocked_unblock(&b->client, chance(50)));
        CHECK(blocked_settle(&b->client, &reply));
    }
    check_reply(&reply, protocol, command->full_name);
    reply_close(&reply);
}

static bool is_ours(const struct command *c)
{
    const char *top = c->parent != NULL ? c->parent->full_name : c->full_name;
    return c->run != NULL && (strcmp(c->group, "string") == 0 || strcmp(c->group, "generic") == 0 ||
                              strcmp(top, "command") == 0 || (c->flags & CMD_BLOCKING));
}

static void count_key(void *context, struct slice key, enum store_type type)
{
    ++*(uint64_t *)context;
}

GO_TIMEOUT_TEST(command_stream, one_reply_whatever_the_words, 120)
{
    static struct bench b;
    random_init(&rng, 20261122);
    b.config = config_default();
    REQUIRE(b.config != NULL);
    b.client.pin.config = b.config;
    b.client.server = &b.server;
    b.server.keyspace = keyspace_new(&(struct keyspace_options){.shards = 8, .databases = 4});
    REQUIRE(b.server.keyspace != NULL);
    b.server.stats = stats_create(command_id_count());
    REQUIRE(b.server.stats != NULL);
    b.now_ms = INT64_C(1790000000000);
    static const struct command *rows[256];
    size_t count = 0;
    for (unsigned id = 0; id < command_id_count(); id++)
        if (is_ours(command_by_id(id)) && count < ARG_COUNT(rows))
            rows[count++] = command_by_id(id);
    CHECK(count > 50);
    for (unsigned round = 0; round < 60000; round++) {
        const struct command *command = rows[random_below(&rng, count)];
        bool long_reply = strncmp(command->full_name, "command", 7) == 0;
        if (long_reply && !chance(5))
            continue;
        draw_call(command);
        run_call(&b, command, chance(50) ? 3 : 2);
        b.now_ms += chance(30) ? (int64_t)random_below(&rng, 1000) : 0;
        if (round % 1000 == 0) {
            struct transaction tx;
            uint64_t found = 0;
            transaction_init(&tx, b.server.keyspace, 0, b.now_ms);
            keyspace_each(&tx, count_key, &found);
            CHECK(found <= keyspace_size(b.server.keyspace, 0));
        }
    }
    blocked_free(&b.client);
    keyspace_free(b.server.keyspace);
    stats_free(b.server.stats);
    config_free(b.config);
}
