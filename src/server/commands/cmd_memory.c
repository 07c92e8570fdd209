/* cmd_memory.c - MEMORY. */
#include "server/commands/handler.h"
#include "server/info_sections.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "server/text.h"
#include "store/transaction.h"

#include <tuco/mem.h>

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>

enum { USAGE_SAMPLES = 1 };

static void run_memory_usage(struct call *call)
{
    int64_t samples;
    struct object_info info;
    if (args_has(call->args, USAGE_SAMPLES)) {
        if (!handler_integer(call, call->argv[args_at(call->args, USAGE_SAMPLES)], &samples))
            return;
        if (samples < 0) {
            reply_error(call->reply, ERR_SYNTAX);
            return;
        }
    }
    enum store_result result = keyspace_object(call->tx, handler_key(call, 0, 2), &info);
    if (result == STORE_OK)
        reply_integer(call->reply, (int64_t)info.memory_bytes);
    else
        reply_null(call->reply);
}

/* Looks at the few things that go wrong with memory, and says which do. */
static void run_memory_doctor(struct call *call)
{
    struct info_memory m;
    struct text t = {0};
    info_memory_get(call->server, &m);
    if (m.used < 5 << 20) {
        text_add_string(&t,
                        "There is hardly anything in memory (less than 5 MiB), so nothing can be "
                        "said about it yet.\n");
    } else {
        if (m.peak > m.used + m.used / 2)
            text_addf(&t,
                      "Peak: %" PRIu64 " bytes were in use once, %" PRIu64
                      " are now. The process may keep pages that it needed then.\n",
                      m.peak, m.used);
        if (m.fragmentation > 1.4 && m.resident - m.used > 10 << 20)
            text_addf(&t,
                      "Fragmentation: the process takes %.2f times the memory that is in use.\n",
                      m.fragmentation);
        if (m.clients > 200 << 20)
            text_addf(&t, "Clients: their buffers take %" PRIu64 " bytes.\n", m.clients);
        if (t.size == 0)
            text_add_string(&t, "No memory problem was found.\n");
    }
    reply_verbatim(call->reply, "txt", text_slice(&t));
    text_free(&t);
}

static void add_integer(struct reply *r, const char *name, uint64_t value)
{
    reply_bulk_string(r, name);
    reply_integer(r, (int64_t)value);
}

static void add_double(struct reply *r, const char *name, double value)
{
    reply_bulk_string(r, name);
    reply_double(r, value);
}

static uint64_t count_keys(const struct keyspace *ks)
{
    uint64_t keys = 0;
    for (uint32_t db = 0; db < keyspace_databases(ks); db++)
        keys += keyspace_size(ks, db);
    return keys;
}

static void run_memory_stats(struct call *call)
{
    struct reply *r = call->reply;
    struct info_memory m;
    uint64_t keys = count_keys(call->tx->keyspace);
    info_memory_get(call->server, &m);
    reply_map(r, 20);
    add_integer(r, "peak.allocated", m.peak);
    add_integer(r, "total.allocated", m.used);
    add_integer(r, "startup.allocated", m.startup);
    add_integer(r, "replication.backlog", 0);
    add_integer(r, "clients.slaves", 0);
    add_integer(r, "clients.normal", m.clients);
    add_integer(r, "cluster.links", 0);
    add_integer(r, "aof.buffer", 0);
    add_integer(r, "lua.caches", 0);
    add_integer(r, "functions.caches", 0);
    add_integer(r, "overhead.total", m.overhead);
    add_integer(r, "keys.count", keys);
    add_integer(r, "keys.bytes-per-key",
                keys == 0 || m.used < m.startup ? 0 : (m.used - m.startup) / keys);
    add_integer(r, "dataset.bytes", m.dataset);
    add_double(r, "dataset.percentage", m.dataset_percent);
    add_double(r, "peak.percentage", m.peak_percent);
    add_integer(r, "allocator.allocated", m.used);
    add_integer(r, "allocator.active", m.heap);
    add_double(r, "fragmentation", m.fragmentation);
    add_integer(r, "fragmentation.bytes", m.resident > m.used ? m.resident - m.used : 0);
}

static void run_memory_malloc_stats(struct call *call)
{
    struct tu_mem_stats heap;
    struct text t = {0};
    struct tu_mem_class_stats c;
    tu_mem_stats(&heap);
    text_addf(&t,
              "libtuco heap: %zu bytes in blocks, %zu at the peak\n"
              "pages: %zu bytes, of these %zu of small blocks, %zu of large ones, %zu free, %zu of "
              "bookkeeping\nfree blocks in caches: %zu bytes\n",
              heap.used_bytes, heap.peak_bytes, heap.heap_bytes, heap.small_bytes, heap.large_bytes,
              heap.free_bytes, heap.metadata_bytes, heap.cached_bytes);
    for (unsigned i = 0; tu_mem_class_stats(i, &c); i++)
        if (c.spans > 0)
            text_addf(&t, "blocks of %zu: %zu in use, %zu in caches, of %zu\n", c.block_bytes,
                      c.used_blocks, c.cached_blocks, c.span_blocks);
    reply_verbatim(call->reply, "txt", text_slice(&t));
    text_free(&t);
}

/* The heap of libtuco gives unused pages back by itself, within seconds; now it is to do it at once. */
static void run_memory_purge(struct call *call)
{
    (void)tu_mem_release();
    (void)malloc_trim(0);
    reply_ok(call->reply);
}

static void run_memory_help(struct call *call)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Says what is wrong with the memory, if anything.",
        "MALLOC-STATS",
        "    Numbers of the allocator.",
        "PURGE",
        "    Asks the allocator to give memory back.",
        "STATS",
        "    What memory is used for.",
        "USAGE <key> [SAMPLES <count>]",
        "    Bytes that a key and its value take.",
    };
    handler_help(call, lines, sizeof lines / sizeof *lines);
}

static const struct command rows[] = {
    {.name = "MEMORY",
     .arity = -2,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "4.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "Groups the commands about memory.",
     ROW_SUBCOMMANDS(
         {.name = "DOCTOR",
          .run = run_memory_doctor,
          .arity = 2,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "4.0.0",
          .complexity = "O(1)",
          .summary = "Says what is wrong with the memory, if anything.",
          .tips = ROW_WORDS("nondeterministic_output", "request_policy:all_shards",
                            "response_policy:special")},
         {.name = "HELP",
          .run = run_memory_help,
          .arity = 2,
          .flags = CMD_LOADING | CMD_STALE,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "4.0.0",
          .complexity = "O(1)",
          .summary = "Explains the subcommands of MEMORY."},
         {.name = "MALLOC-STATS",
          .run = run_memory_malloc_stats,
          .arity = 2,
          .flags = CMD_LOADING,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "4.0.0",
          .complexity = "O(1)",
          .summary = "Shows numbers of the allocator.",
          .tips = ROW_WORDS("nondeterministic_output", "request_policy:all_shards",
                            "response_policy:special")},
         {.name = "PURGE",
          .run = run_memory_purge,
          .arity = 2,
          .flags = CMD_LOADING,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "4.0.0",
          .complexity = "Depends on how much memory is given back.",
          .summary = "Asks the allocator to give memory back.",
          .tips = ROW_WORDS("request_policy:all_shards", "response_policy:all_succeeded")},
         {.name = "STATS",
          .run = run_memory_stats,
          .arity = 2,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "4.0.0",
          .complexity = "O(1)",
          .summary = "Shows what memory is used for.",
          .tips = ROW_WORDS("nondeterministic_output", "request_policy:all_shards",
                            "response_policy:special")},
         {.name = "USAGE",
          .run = run_memory_usage,
          .arity = -3,
          .flags = CMD_READONLY,
          .scope = SCOPE_KEYS,
          .group = "server",
          .since = "4.0.0",
          .complexity = "O(N)",
          .summary = "Estimates the bytes that a key takes.",
          ROW_KEYS(KEY_AT(2, KEY_RO)),
          ROW_ARGS(ARG_KEY("key", 0),
                   ARG_INTEGER("count", ARG_OPTIONAL, .token = "SAMPLES", .id = USAGE_SAMPLES))})},
};

const struct command_family memory_family = COMMAND_FAMILY(rows);
