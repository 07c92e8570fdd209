/* info_stats.c - INFO's sections of numbers: memory, stats, commandstats, errorstats, latencystats. */
#include "server/client_registry.h"
#include "server/command.h"
#include "server/config_table.h"
#include "server/info.h"
#include "server/info_sections.h"
#include "server/server.h"
#include "store/long_work.h"

#include "base/number.h"
#include "store/lazy_free.h"

#include <tuco/mem.h>

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* Bytes of the process that are in memory. */
static uint64_t resident_bytes(void)
{
    unsigned long long size, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f != NULL) {
        if (fscanf(f, "%llu %llu", &size, &resident) != 2)
            resident = 0;
        (void)fclose(f);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double ratio(uint64_t a, uint64_t b)
{
    return b == 0 ? 0 : (double)a / (double)b;
}

void info_memory_get(struct server *server, struct info_memory *out)
{
    struct tu_mem_stats heap;
    struct client_totals clients;
    struct keyspace_stats store;
    tu_mem_stats(&heap);
    client_registry_totals(server->clients, &clients);
    keyspace_stats(server->keyspace, &store);
    int64_t peak = server->peak_bytes;
    *out = (struct info_memory){
        .used = heap.used_bytes,
        .peak = peak > 0 && (uint64_t)peak > heap.used_bytes ? (uint64_t)peak : heap.used_bytes,
        .resident = resident_bytes(),
        .startup = server->startup_bytes > 0 ? (uint64_t)server->startup_bytes : 0,
        .heap = heap.heap_bytes,
        .clients = clients.memory_bytes,
        .tables = store.table_bytes + store.expire_index_bytes,
    };
    out->overhead = out->startup + out->clients + out->tables;
    out->dataset = out->used > out->overhead ? out->used - out->overhead : 0;
    uint64_t net = out->used > out->startup ? out->used - out->startup : 0;
    out->dataset_percent = net == 0 ? 0 : 100 * ratio(out->dataset, net);
    out->peak_percent = 100 * ratio(out->used, out->peak);
    out->fragmentation = ratio(out->resident, out->used);
}

static void add_bytes(struct text *out, const char *name, uint64_t bytes)
{
    char human[32];
    info_human_bytes(human, sizeof human, bytes);
    text_addf(out, "%s:%" PRIu64 "\r\n%s_human:%s\r\n", name, bytes, name, human);
}

static void add_percent(struct text *out, const char *name, double percent)
{
    text_addf(out, "%s:%.2f%%\r\n", name, percent);
}

/* What scripts use: there are none yet. */
static void add_script_memory(struct text *out)
{
    text_add(
        out,
        SLICE("used_memory_lua:0\r\nused_memory_vm_eval:0\r\nused_memory_lua_human:0B\r\n"
              "used_memory_scripts_eval:0\r\nnumber_of_cached_scripts:0\r\n"
              "number_of_functions:0\r\nnumber_of_libraries:0\r\nused_memory_vm_functions:0\r\n"
              "used_memory_vm_total:0\r\nused_memory_vm_total_human:0B\r\n"
              "used_memory_functions:0\r\nused_memory_scripts:0\r\n"
              "used_memory_scripts_human:0B\r\n"));
}

void info_print_memory(struct server *server, const struct config *config, struct text *out)
{
    struct info_memory m;
    info_memory_get(server, &m);
    struct lazy_free_counts lazy = lazy_free_counts();
    uint64_t system = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    int64_t unused_heap = (int64_t)(m.heap - m.used), rss_over = (int64_t)(m.resident - m.heap);
    add_bytes(out, "used_memory", m.used);
    add_bytes(out, "used_memory_rss", m.resident);
    add_bytes(out, "used_memory_peak", m.peak);
    add_percent(out, "used_memory_peak_perc", m.peak_percent);
    text_addf(out,
              "used_memory_overhead:%" PRIu64 "\r\nused_memory_startup:%" PRIu64
              "\r\nused_memory_dataset:%" PRIu64 "\r\n",
              m.overhead, m.startup, m.dataset);
    add_percent(out, "used_memory_dataset_perc", m.dataset_percent);
    text_addf(out,
              "allocator_allocated:%" PRIu64 "\r\nallocator_active:%" PRIu64
              "\r\nallocator_resident:%" PRIu64 "\r\nallocator_muzzy:0\r\n",
              m.used, m.heap, m.heap);
    add_bytes(out, "total_system_memory", system);
    add_script_memory(out);
    add_bytes(out, "maxmemory", (uint64_t)config->maxmemory);
    text_add(out, SLICE("maxmemory_policy:"));
    config_row_print(config_row_find(SLICE("maxmemory-policy")), config, out);
    text_addf(out,
              "\r\nallocator_frag_ratio:%.2f\r\nallocator_frag_bytes:%" PRId64
              "\r\nallocator_rss_ratio:1.00\r\nallocator_rss_bytes:0\r\nrss_overhead_ratio:%.2f\r\n"
              "rss_overhead_bytes:%" PRId64 "\r\nmem_fragmentation_ratio:%.2f\r\n"
              "mem_fragmentation_bytes:%" PRId64 "\r\n",
              ratio(m.heap, m.used), unused_heap, ratio(m.resident, m.heap), rss_over,
              m.fragmentation, (int64_t)(m.resident - m.used));
    text_addf(
        out,
        "mem_not_counted_for_evict:0\r\nmem_replication_backlog:0\r\n"
        "mem_total_replication_buffers:0\r\nmem_replicas_repl_buffer:0\r\nmem_clients_slaves:0\r\n"
        "mem_clients_normal:%" PRIu64
        "\r\nmem_cluster_links:0\r\nmem_cluster_slot_import:0\r\nmem_cluster_slot_export:0\r\n"
        "mem_aof_buffer:0\r\nmem_allocator:libtuco\r\nmem_overhead_db_hashtable_rehashing:0\r\n"
        "active_defrag_running:0\r\nlazyfree_pending_objects:%" PRIu64
        "\r\nlazyfreed_objects:%" PRIu64 "\r\n",
        m.clients, lazy.pending, lazy.freed);
}

static void add_counter(struct text *out, const char *name, uint64_t value)
{
    text_addf(out, "%s:%" PRIu64 "\r\n", name, value);
}

/* A run of fields that are zero as long as the feature is not used. */
static void add_zeros(struct text *out, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_counter(out, names[i], 0);
}
#define ADD_ZEROS(out, ...)                            \
    add_zeros(out, (const char *const[]){__VA_ARGS__}, \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void add_traffic(struct stats *s, struct text *out)
{
    add_counter(out, "total_connections_received", stats_get(s, STAT_CONNECTIONS));
    add_counter(out, "total_commands_processed", stats_get(s, STAT_COMMANDS));
    text_addf(out, "instantaneous_ops_per_sec:%.0f\r\n", stats_rate(s, RATE_COMMANDS));
    add_counter(out, "total_net_input_bytes", stats_get(s, STAT_NET_INPUT));
    add_counter(out, "total_net_output_bytes", stats_get(s, STAT_NET_OUTPUT));
    ADD_ZEROS(out, "total_net_repl_input_bytes", "total_net_repl_output_bytes",
              "total_net_cluster_slot_import_bytes", "total_net_cluster_slot_export_bytes");
    text_addf(out,
              "instantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\n"
              "instantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:0.00\r\n",
              stats_rate(s, RATE_NET_INPUT) / 1024, stats_rate(s, RATE_NET_OUTPUT) / 1024);
    add_counter(out, "rejected_connections", stats_get(s, STAT_REJECTED));
}

static void add_keys(struct server *server, struct text *out)
{
    struct keyspace_stats store;
    keyspace_stats(server->keyspace, &store);
    ADD_ZEROS(out, "sync_full", "sync_partial_ok", "sync_partial_err");
    add_counter(out, "expired_keys", store.expired - server->expired_base);
    add_counter(out, "expired_fields", store.expired_fields - server->expired_fields_base);
    text_add(
        out,
        SLICE("expired_stale_perc:0.00\r\nexpired_keys_with_volatile_items_stale_perc:0.00\r\n"));
    ADD_ZEROS(out, "expired_time_cap_reached_count", "expire_cycle_cpu_milliseconds",
              "evicted_keys", "evicted_clients", "evicted_scripts", "total_eviction_exceeded_time",
              "current_eviction_exceeded_time");
    add_counter(out, "keyspace_hits", store.hits - server->hits_base);
    add_counter(out, "keyspace_misses", store.misses - server->misses_base);
    ADD_ZEROS(out, "pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "latest_fork_usec",
              "total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys",
              "active_defrag_hits", "active_defrag_misses", "active_defrag_key_hits",
              "active_defrag_key_misses", "total_active_defrag_time", "current_active_defrag_time",
              "tracking_total_keys", "tracking_total_items", "tracking_total_prefixes");
}

void info_print_stats(struct server *server, const struct config *config, struct text *out)
{
    struct stats *s = server->stats;
    add_traffic(s, out);
    add_keys(server, out);
    add_counter(out, "unexpected_error_replies", stats_get(s, STAT_UNEXPECTED_ERRORS));
    add_counter(out, "total_error_replies", stats_get(s, STAT_ERROR_REPLIES));
    ADD_ZEROS(out, "dump_payload_sanitizations");
    add_counter(out, "total_reads_processed", stats_get(s, STAT_READS));
    add_counter(out, "total_writes_processed", stats_get(s, STAT_WRITES));
    ADD_ZEROS(out, "io_threaded_reads_processed", "io_threaded_writes_processed",
              "io_threaded_freed_objects", "io_threaded_accept_processed",
              "io_threaded_poll_processed");
    add_counter(out, "io_threaded_total_prefetch_batches", stats_get(s, STAT_BATCHES));
    add_counter(out, "io_threaded_total_prefetch_entries", stats_get(s, STAT_BATCH_COMMANDS));
    add_counter(out, "client_query_buffer_limit_disconnections", stats_get(s, STAT_QUERY_LIMIT));
    add_counter(out, "client_output_buffer_limit_disconnections", stats_get(s, STAT_OUTPUT_LIMIT));
    struct long_work_stats work = long_work_stats(server->keyspace);
    add_counter(out, "tuco_long_commands", work.begun);
    add_counter(out, "tuco_long_commands_postponed", work.postponed);
    add_counter(out, "tuco_long_commands_running", work.running);
    add_counter(out, "tuco_long_commands_waiting", work.waiting);
    add_counter(out, "tuco_replies_in_parts", stats_get(s, STAT_REPLIES_IN_PARTS));
    ADD_ZEROS(out, "reply_buffer_shrinks", "reply_buffer_expands", "eventloop_cycles",
              "eventloop_duration_sum", "eventloop_duration_cmd_sum",
              "instantaneous_eventloop_cycles_per_sec", "instantaneous_eventloop_duration_usec");
    add_counter(out, "acl_access_denied_auth", stats_get(s, STAT_AUTH_DENIED));
    ADD_ZEROS(out, "acl_access_denied_cmd", "acl_access_denied_key", "acl_access_denied_channel",
              "acl_access_denied_tls_cert", "acl_access_denied_db");
}

void info_print_commandstats(struct server *server, const struct config *config, struct text *out)
{
    for (unsigned id = 0; id < command_id_count(); id++) {
        struct command_stats c;
        stats_command_get(server->stats, id, &c);
        if (c.calls == 0 && c.rejected == 0)
            continue;
        double usec = (double)c.duration_ns / 1000;
        text_addf(out,
                  "cmdstat_%s:calls=%" PRIu64
                  ",usec=%.0f,usec_per_call=%.2f,rejected_calls=%" PRIu64 ",failed_calls=%" PRIu64
                  "\r\n",
                  command_full_name(command_by_id(id)), c.calls, usec,
                  c.calls == 0 ? 0 : usec / (double)c.calls, c.rejected, c.failed);
    }
}

static void add_error(void *context, struct slice prefix, uint64_t count)
{
    text_addf(context, "errorstat_%.*s:count=%" PRIu64 "\r\n", (int)prefix.size, prefix.data,
              count);
}

void info_print_errorstats(struct server *server, const struct config *config, struct text *out)
{
    if (stats_errors_overflow(server->stats))
        text_add(out, SLICE("errorstat_ERRORSTATS_OVERFLOW:count=1\r\n"));
    stats_errors(server->stats, add_error, out);
}

void info_print_latencystats(struct server *server, const struct config *config, struct text *out)
{
    size_t count = config->percentile_count;
    if (!config->latency_tracking || count == 0)
        return;
    /* Percentiles are asked for in ascending order; the configuration may have them in any. */
    for (unsigned id = 0; id < command_id_count(); id++) {
        struct command_stats c;
        stats_command_get(server->stats, id, &c);
        if (c.calls == 0)
            continue;
        struct text line = {0};
        for (size_t i = 0; i < count; i++) {
            uint64_t ns;
            char name[NUMBER_DOUBLE_MAX_SIZE];
            if (!stats_command_percentiles(server->stats, id, &config->percentiles[i], 1, &ns))
                break;
            size_t size = number_format_double(name, config->percentiles[i]);
            text_addf(&line, "%sp%.*s=%.3f", i == 0 ? "" : ",", (int)size, name, (double)ns / 1000);
        }
        if (line.size != 0)
            text_addf(out, "latency_percentiles_usec_%s:%s\r\n",
                      command_full_name(command_by_id(id)), line.data);
        text_free(&line);
    }
}
