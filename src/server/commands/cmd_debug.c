/* cmd_debug.c - DEBUG: for tests and for those who look into the machine. Allowed only where
 * enable-debug-command says so (the dispatcher checks that).
 *
 * Its subcommands are words of one command, as in Redis, not rows of their own. None declares keys, so
 * they take the shards they need themselves, unless EXEC holds all.
 */
#include "base/check.h"
#include "base/number.h"
#include "platform/entropy.h"
#include "server/client.h"
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "store/digest.h"
#include "store/transaction.h"
#include "store/verify.h"

#include <tuco/go.h>

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static bool take_key(const struct call *call, struct store_key key)
{
    if (transaction_holds_all(call->tx))
        return false;
    transaction_lock(call->tx, &key.hash, 1);
    return true;
}

static struct store_key key_at(const struct call *call, size_t word)
{
    return (struct store_key){call->argv[word],
                              keyspace_hash(call->tx->keyspace, call->argv[word])};
}

static void debug_object(struct call *call)
{
    struct object_info info;
    struct store_key key = key_at(call, 2);
    bool locked = take_key(call, key);
    enum store_result result = keyspace_object(call->tx, key, &info);
    if (locked)
        transaction_unlock(call->tx);
    if (result != STORE_OK) {
        reply_error(call->reply, ERR_NO_KEY);
        return;
    }
    char text[200];
    (void)snprintf(
        text, sizeof text,
        "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%" PRIu64,
        info.address, info.encoding, info.value_size + 1, info.clock, info.idle_s);
    reply_simple(call->reply, text);
}

/* Stops this client only: the others are served on. Inside EXEC, which holds shards, the thread is
 * stopped, and with it whoever wants those shards. */
static void debug_sleep(struct call *call)
{
    double seconds;
    if (!number_parse_double(call->argv[2], &seconds) || !(seconds > 0))
        seconds = 0;
    if (seconds > 1e6)
        seconds = 1e6;
    int64_t ns = (int64_t)(seconds * 1e9);
    if (transaction_holds_any(call->tx)) {
        struct timespec t = {ns / TU_S, ns % TU_S};
        (void)nanosleep(&t, NULL);
    } else {
        (void)tu_sleep(ns);
    }
    reply_ok(call->reply);
}

static void debug_populate(struct call *call)
{
    int64_t count, size = 0;
    struct slice prefix = call->argc > 3 ? call->argv[3] : SLICE("key");
    if (!number_parse_int64(call->argv[2], &count) || count < 0 ||
        (call->argc > 4 && (!number_parse_int64(call->argv[4], &size) || size < 0))) {
        reply_error(call->reply, "ERR value is out of range, must be positive");
        return;
    }
    if (size > handler_config(call)->proto_max_bulk_len) {
        reply_error(call->reply, ERR_STRING_TOO_BIG);
        return;
    }
    enum store_result result = keyspace_populate(call->tx, (uint64_t)count, prefix, (size_t)size);
    if (result == STORE_OK)
        reply_ok(call->reply);
    else
        handler_error(call, result);
}

static void format_digest(const uint8_t digest[SHA1_SIZE], char out[2 * SHA1_SIZE + 1])
{
    for (int i = 0; i < SHA1_SIZE; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void debug_digest(struct call *call)
{
    uint8_t digest[SHA1_SIZE];
    char text[2 * SHA1_SIZE + 1];
    bool held = transaction_holds_all(call->tx);
    if (!held)
        transaction_lock_all(call->tx);
    digest_dataset(call->tx, digest);
    if (!held)
        transaction_unlock(call->tx);
    format_digest(digest, text);
    reply_simple(call->reply, text);
}

static void debug_digest_value(struct call *call)
{
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++) {
        uint8_t digest[SHA1_SIZE];
        char text[2 * SHA1_SIZE + 1];
        struct store_key key = key_at(call, i);
        bool locked = take_key(call, key);
        digest_value(call->tx, key, digest);
        if (locked)
            transaction_unlock(call->tx);
        format_digest(digest, text);
        reply_simple(call->reply, text);
    }
}

/* What is broken ends the server, as a failed check does. */
static void debug_verify(struct call *call)
{
    uint64_t keys = 0;
    bool all = call->argc == 2, held = transaction_holds_all(call->tx);
    if (all && !held)
        transaction_lock_all(call->tx);
    if (all)
        keys = verify_all(call->tx);
    if (all && !held)
        transaction_unlock(call->tx);
    for (size_t i = 2; i < call->argc; i++) {
        struct store_key key = key_at(call, i);
        bool locked = take_key(call, key);
        keys += verify_key(call->tx, key);
        if (locked)
            transaction_unlock(call->tx);
    }
    reply_integer(call->reply, (int64_t)keys);
}

static void debug_set_active_expire(struct call *call)
{
    atomic_store(&call->server->expire_paused, slice_equal(call->argv[2], SLICE("0")));
    reply_ok(call->reply);
}

static void debug_log(struct call *call)
{
    log_warning("DEBUG LOG: %.*s", (int)(call->argv[2].size < 900 ? call->argv[2].size : 900),
                call->argv[2].data);
    reply_ok(call->reply);
}

static void debug_error(struct call *call)
{
    reply_errorf(call->reply, "%.*s", (int)(call->argv[2].size < 4096 ? call->argv[2].size : 4096),
                 call->argv[2].data);
}

static void debug_change_repl_id(struct call *call)
{
    log_notice("Changing replication IDs after receiving change-repl-id");
    tu_mutex_lock(&call->server->admin);
    entropy_hex(call->server->replication_id, 40);
    tu_mutex_unlock(&call->server->admin);
    reply_ok(call->reply);
}

/* ---- PROTOCOL: one reply of each type, for those who write clients ---- */

static void reply_three(struct reply *r, bool pairs)
{
    for (int i = 0; i < 3; i++) {
        reply_integer(r, i);
        if (pairs)
            reply_boolean(r, i == 1);
    }
}

static void debug_protocol(struct call *call)
{
    struct reply *r = call->reply;
    struct slice type = call->argv[2];
    if (slice_equal_nocase(type, SLICE("string"))) {
        reply_bulk_string(r, "Hello World");
    } else if (slice_equal_nocase(type, SLICE("integer"))) {
        reply_integer(r, 12345);
    } else if (slice_equal_nocase(type, SLICE("double"))) {
        reply_double(r, 3.141);
    } else if (slice_equal_nocase(type, SLICE("null"))) {
        reply_null(r);
    } else if (slice_equal_nocase(type, SLICE("array"))) {
        reply_array(r, 3);
        reply_three(r, false);
    } else if (slice_equal_nocase(type, SLICE("set"))) {
        reply_set(r, 3);
        reply_three(r, false);
    } else if (slice_equal_nocase(type, SLICE("map"))) {
        reply_map(r, 3);
        reply_three(r, true);
    } else if (slice_equal_nocase(type, SLICE("attrib"))) {
        if (reply_protocol(r) >= 3) {
            reply_attribute(r, 1);
            reply_bulk_string(r, "key-popularity");
            reply_array(r, 2);
            reply_bulk_string(r, "key:123");
            reply_integer(r, 90);
        }
        reply_bulk_string(r, "Some real reply following the attribute");
    } else if (slice_equal_nocase(type, SLICE("push"))) {
        reply_push(r, 2);
        reply_bulk_string(r, "server-cpu-usage");
        reply_integer(r, 42);
    } else if (slice_equal_nocase(type, SLICE("verbatim"))) {
        reply_verbatim(r, "txt", SLICE("This is a verbatim\nstring"));
    } else if (slice_equal_nocase(type, SLICE("bignum"))) {
        reply_big_number(r, SLICE("1234567999999999999999999999999999999"));
    } else if (slice_equal_nocase(type, SLICE("true"))) {
        reply_boolean(r, true);
    } else if (slice_equal_nocase(type, SLICE("false"))) {
        reply_boolean(r, false);
    } else {
        reply_error(r, "ERR Wrong protocol type name. Please use one of the following: "
                       "string|integer|double|null|array|set|map|attrib|push|verbatim|true|false");
    }
}

/* ---- ways to die ---- */

static void debug_segfault(struct call *call)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 1; /* NOLINT(clang-analyzer-core.NullDereference): the fault is the purpose */
}

static void debug_panic(struct call *call)
{
    check_failed(__FILE__, __LINE__, "DEBUG PANIC was called");
}

static void debug_help(struct call *call);

static const struct {
    const char *word;
    size_t least, most; /* words, DEBUG included */
    command_fn run;
    const char *help[2];
} subcommands[] = {
    {"CHANGE-REPL-ID",
     2,
     2,
     debug_change_repl_id,
     {"CHANGE-REPL-ID", "    Gives the server another replication id."}},
    {"DIGEST", 2, 2, debug_digest, {"DIGEST", "    One number for the content of all databases."}},
    {"DIGEST-VALUE",
     2,
     SIZE_MAX,
     debug_digest_value,
     {"DIGEST-VALUE <key> [<key> ...]", "    One number for the value of each key."}},
    {"ERROR", 3, 3, debug_error, {"ERROR <string>", "    Replies with that error."}},
    {"LOG", 3, 3, debug_log, {"LOG <message>", "    Writes the message to the log."}},
    {"OBJECT", 3, 4, debug_object, {"OBJECT <key> [fast]", "    How the value is represented."}},
    {"PANIC", 2, 2, debug_panic, {"PANIC", "    Ends the server as a failed check does."}},
    {"POPULATE",
     3,
     5,
     debug_populate,
     {"POPULATE <count> [<prefix>] [<size>]",
      "    Makes <count> strings named <prefix>:<n>, of <size> bytes."}},
    {"PROTOCOL",
     3,
     3,
     debug_protocol,
     {"PROTOCOL <type>", "    Replies with a value of that type of the protocol."}},
    {"SEGFAULT", 2, 2, debug_segfault, {"SEGFAULT", "    Ends the server by a memory fault."}},
    {"SET-ACTIVE-EXPIRE",
     3,
     3,
     debug_set_active_expire,
     {"SET-ACTIVE-EXPIRE <0|1>", "    0: expired keys stay until somebody asks for them."}},
    {"SLEEP",
     3,
     3,
     debug_sleep,
     {"SLEEP <seconds>", "    Lets this client wait; decimals are allowed."}},
    {"VERIFY",
     2,
     SIZE_MAX,
     debug_verify,
     {"VERIFY [<key> ...]", "    Looks whether everything, or those values, are sound: how many."}},
    {"HELP", 2, 2, debug_help, {"HELP", "    This text."}},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static void debug_help(struct call *call)
{
    reply_array(call->reply, 2 * SUBCOMMANDS + 1);
    reply_simple(call->reply, "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        reply_simple(call->reply, subcommands[i].help[0]);
        reply_simple(call->reply, subcommands[i].help[1]);
    }
}

static void run_debug(struct call *call)
{
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        if (slice_equal_nocase(call->argv[1], slice_of(subcommands[i].word)) &&
            call->argc >= subcommands[i].least && call->argc <= subcommands[i].most) {
            subcommands[i].run(call);
            return;
        }
    }
    reply_errorf(call->reply,
                 "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
                 (int)(call->argv[1].size < 128 ? call->argv[1].size : 128), call->argv[1].data);
}

static const struct command rows[] = {
    {.name = "DEBUG",
     .run = run_debug,
     .arity = -2,
     .flags = CMD_ADMIN | CMD_LOADING | CMD_NOSCRIPT | CMD_STALE | CMD_PROTECTED,
     .scope = SCOPE_SELF,
     .group = "server",
     .since = "1.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "Helps to test and to look into the server.",
     .doc_flags = DOC_SYSCMD},
};

const struct command_family debug_family = COMMAND_FAMILY(rows);
