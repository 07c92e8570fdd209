/* cmd_hyperloglog.c - estimates of how many different elements there are, and what looks inside them. */
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/types/hyperloglog.h"

#include <math.h>
#include <tuco/mem.h>

static void run_pfadd(struct call *call)
{
    bool changed;
    enum store_result rc =
        hll_add(call->tx, handler_first_key(call), call->argv + 2, call->argc - 2, &changed);
    if (rc == STORE_OK)
        reply_integer(call->reply, changed);
    else
        handler_error(call, rc);
}

/* All keys of the call as an array, to be freed; NULL: the error has been replied. */
static struct store_key *all_keys(const struct call *call)
{
    struct store_key *keys = tu_alloc(call->key_count * sizeof *keys);
    if (!keys)
        handler_error(call, STORE_NO_MEMORY);
    for (size_t i = 0; keys && i < call->key_count; i++)
        keys[i] = handler_key(call, i, 1 + i);
    return keys;
}

static void run_pfcount(struct call *call)
{
    uint64_t estimate;
    enum store_result rc;
    if (call->argc == 2) {
        rc = hll_count(call->tx, handler_first_key(call), &estimate);
    } else {
        struct store_key *keys = all_keys(call);
        if (!keys)
            return;
        rc = hll_count_union(call->tx, keys, call->key_count, &estimate);
        tu_free(keys);
    }
    if (rc == STORE_OK)
        reply_integer(call->reply, (int64_t)estimate);
    else
        handler_error(call, rc);
}

static void run_pfmerge(struct call *call)
{
    struct store_key *keys = all_keys(call);
    if (!keys)
        return;
    enum store_result rc = hll_merge(call->tx, keys, call->key_count);
    tu_free(keys);
    if (rc == STORE_OK)
        reply_ok(call->reply);
    else
        handler_error(call, rc);
}

/* ---- PFDEBUG ---- */

static void fail_debug(const struct call *call, enum store_result rc)
{
    if (rc == STORE_MISSING)
        reply_error(call->reply, "ERR The specified key does not exist");
    else if (rc == STORE_NOT_MET)
        reply_error(call->reply, "ERR HLL encoding is not sparse");
    else
        handler_error(call, rc);
}

static void debug_getreg(struct call *call, struct store_key key)
{
    uint8_t registers[HLL_REGISTERS];
    bool dense, converted;
    enum store_result rc = hll_form(call->tx, key, true, &dense, &converted);
    if (rc == STORE_OK)
        rc = hll_registers(call->tx, key, registers);
    if (rc != STORE_OK) {
        fail_debug(call, rc);
        return;
    }
    reply_array(call->reply, HLL_REGISTERS);
    for (size_t i = 0; i < HLL_REGISTERS; i++)
        reply_integer(call->reply, registers[i]);
}

static void debug_decode(struct call *call, struct store_key key)
{
    char *text;
    size_t size;
    enum store_result rc = hll_runs(call->tx, key, &text, &size);
    if (rc != STORE_OK) {
        fail_debug(call, rc);
        return;
    }
    reply_bulk(call->reply, (struct slice){text, size});
    tu_free(text);
}

static void debug_form(struct call *call, struct store_key key, bool convert)
{
    bool dense, converted;
    enum store_result rc = hll_form(call->tx, key, convert, &dense, &converted);
    if (rc != STORE_OK)
        fail_debug(call, rc);
    else if (convert)
        reply_integer(call->reply, converted);
    else
        reply_simple(call->reply, dense ? "dense" : "sparse");
}

static void run_pfdebug(struct call *call)
{
    struct slice word = call->argv[1];
    struct store_key key = handler_key(call, 0, 2);
    bool dense, converted;
    enum store_result rc = hll_form(call->tx, key, false, &dense, &converted);
    if (rc != STORE_OK)
        fail_debug(call, rc);
    else if (slice_equal_nocase(word, SLICE("GETREG")))
        debug_getreg(call, key);
    else if (slice_equal_nocase(word, SLICE("DECODE")))
        debug_decode(call, key);
    else if (slice_equal_nocase(word, SLICE("ENCODING")))
        debug_form(call, key, false);
    else if (slice_equal_nocase(word, SLICE("TODENSE")))
        debug_form(call, key, true);
    else
        reply_errorf(call->reply, "ERR Unknown PFDEBUG subcommand '%.*s'",
                     (int)(word.size < 128 ? word.size : 128), word.data);
}

/* ---- PFSELFTEST ---- */

/* Estimates of growing sets stay within four standard errors (1.04 / sqrt(16384)) and one. */
static void run_pfselftest(struct call *call)
{
    uint8_t registers[HLL_REGISTERS] = {0};
    uint64_t next = 1;
    for (uint64_t i = 0; i < 100000; i++) {
        uint8_t value;
        unsigned at = hll_place((struct slice){(const char *)&i, sizeof i}, &value);
        registers[at] = value > registers[at] ? value : registers[at];
        if (i + 1 != next)
            continue;
        uint64_t estimate = hll_estimate(registers);
        if (fabs((double)estimate - (double)next) > 1 + 4 * 1.04 / 128 * (double)next) {
            reply_errorf(call->reply, "ERR TESTFAILED Too big error. card:%llu abserr:%llu",
                         (unsigned long long)next, (unsigned long long)estimate);
            return;
        }
        next *= 10;
    }
    reply_ok(call->reply);
}

static const struct command rows[] = {
    {.name = "PFADD",
     .run = run_pfadd,
     .arity = -2,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_HYPERLOGLOG,
     .scope = SCOPE_KEYS,
     .group = "hyperloglog",
     .since = "2.8.9",
     .complexity = "O(1)",
     .summary = "Adds elements to a HyperLogLog, which is made if it is missing.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("element", ARG_OPTIONAL, ARG_MULTIPLE))},
    {.name = "PFCOUNT",
     .run = run_pfcount,
     .arity = -2,
     .flags = CMD_READONLY | CMD_MAY_REPLICATE,
     .acl = ACL_HYPERLOGLOG,
     .scope = SCOPE_KEYS,
     .group = "hyperloglog",
     .since = "2.8.9",
     .complexity = "O(1)",
     .summary = "Estimates how many different elements HyperLogLogs have seen together.",
     ROW_KEYS(KEYS_FROM(1, 1, KEY_RW | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE))},
    {.name = "PFDEBUG",
     .run = run_pfdebug,
     .arity = 3,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_ADMIN,
     .acl = ACL_HYPERLOGLOG,
     .scope = SCOPE_KEYS,
     .group = "hyperloglog",
     .since = "2.8.9",
     .summary = "Shows the inside of a HyperLogLog.",
     .doc_flags = DOC_SYSCMD,
     ROW_KEYS(KEY_AT(2, KEY_RW | KEY_ACCESS)),
     ROW_ARGS(ARG_STRING("subcommand"), ARG_KEY("key", 0))},
    {.name = "PFMERGE",
     .run = run_pfmerge,
     .arity = -2,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_HYPERLOGLOG,
     .scope = SCOPE_KEYS,
     .group = "hyperloglog",
     .since = "2.8.9",
     .complexity = "O(N)",
     .summary = "Makes a HyperLogLog the union of itself and others.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_INSERT), KEYS_FROM(2, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("destkey", 0), ARG_KEY("sourcekey", 1, ARG_OPTIONAL, ARG_MULTIPLE))},
    {.name = "PFSELFTEST",
     .run = run_pfselftest,
     .arity = 1,
     .flags = CMD_ADMIN,
     .acl = ACL_HYPERLOGLOG,
     .scope = SCOPE_NONE,
     .group = "hyperloglog",
     .since = "2.8.9",
     .summary = "Checks the estimator against sets of known size.",
     .doc_flags = DOC_SYSCMD},
};
const struct command_family hyperloglog_family = COMMAND_FAMILY(rows);
