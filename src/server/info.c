/* info.c - INFO: which sections, and those about the server itself; info_stats.c has the counters.
 */
#include "server/info.h"

#include "platform/clock.h"
#include "server/client_registry.h"
#include "server/info_sections.h"
#include "server/listening.h"
#include "server/pause.h"
#include "server/server.h"
#include "store/blocking.h"

#include <tuco/go.h>
#include <tuco/mem.h>

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

static const struct {
    const char *name; /* as INFO's argument */
    const char *title;
    info_section_fn print;
} sections_in_order[] = {
    {"server", "Server", info_print_server},
    {"tls", "TLS", info_print_tls},
    {"clients", "Clients", info_print_clients},
    {"memory", "Memory", info_print_memory},
    {"persistence", "Persistence", info_print_persistence},
    {"stats", "Stats", info_print_stats},
    {"replication", "Replication", info_print_replication},
    {"cpu", "CPU", info_print_cpu},
    {"modules", "Modules", NULL},
    {"commandstats", "Commandstats", info_print_commandstats},
    {"errorstats", "Errorstats", info_print_errorstats},
    {"latencystats", "Latencystats", info_print_latencystats},
    {"cluster", "Cluster", info_print_cluster},
    {"cluster_info", "Cluster Info", NULL},
    {"scriptingengines", "Scripting Engines", info_print_scripting},
    {"keyspace", "Keyspace", info_print_keyspace},
};
enum { SECTIONS = sizeof sections_in_order / sizeof *sections_in_order };
_Static_assert(1 << SECTIONS == INFO_ALL + 1, "a bit for each section");

uint32_t info_sections(const struct slice *names, size_t count)
{
    uint32_t sections = count == 0 ? INFO_DEFAULT : 0;
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_nocase(names[i], SLICE("all")) ||
            slice_equal_nocase(names[i], SLICE("everything")))
            sections |= INFO_ALL;
        if (slice_equal_nocase(names[i], SLICE("default")))
            sections |= INFO_DEFAULT;
        for (int k = 0; k < SECTIONS; k++) {
            if (slice_equal_nocase(names[i], slice_of(sections_in_order[k].name)))
                sections |= 1u << k;
        }
    }
    return sections;
}

void info_print(struct server *server, const struct config *config, uint32_t sections,
                struct text *out)
{
    bool first = true;
    text_add(out, SLICE(""));
    for (int k = 0; k < SECTIONS; k++) {
        if ((sections >> k & 1) == 0)
            continue;
        text_addf(out, "%s# %s\r\n", first ? "" : "\r\n", sections_in_order[k].title);
        first = false;
        if (sections_in_order[k].print != NULL)
            sections_in_order[k].print(server, config, out);
    }
}

void info_human_bytes(char *out, size_t size, uint64_t bytes)
{
    static const char units[] = "BKMGTPE";
    int unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && unit < 6) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        (void)snprintf(out, size, "%" PRIu64 "B", bytes);
    else
        (void)snprintf(out, size, "%.2f%c", value, units[unit]);
}

static const char *supervised_name(int supervised)
{
    return supervised == SUPERVISED_SYSTEMD   ? "systemd"
           : supervised == SUPERVISED_UPSTART ? "upstart"
                                              : "no";
}

void info_print_server(struct server *server, const struct config *config, struct text *out)
{
    struct utsname host = {0};
    (void)uname(&host);
    int64_t uptime_s = (tu_now() - server->start_ns) / TU_S;
    text_addf(
        out,
        "redis_version:%s\r\nserver_name:%s\r\ntuco_version:%s\r\nredis_git_sha1:00000000\r\n"
        "redis_git_dirty:0\r\nredis_build_id:%s\r\nredis_mode:standalone\r\n"
        "server_mode:standalone\r\nos:%s %s %s\r\narch_bits:%zu\r\n"
        "monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:epoll\r\ngcc_version:%d.%d.%d\r\n",
        REDIS_VERSION, SERVER_NAME, TUCO_VERSION, TUCO_VERSION, host.sysname, host.release,
        host.machine, sizeof(long) * 8, __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
    text_addf(out,
              "process_id:%d\r\nprocess_supervised:%s\r\nrun_id:%s\r\ntcp_port:%" PRId64 "\r\n"
              "server_time_usec:%" PRId64 "\r\nuptime_in_seconds:%" PRId64
              "\r\nuptime_in_days:%" PRId64 "\r\nhz:%" PRId64 "\r\nconfigured_hz:%" PRId64
              "\r\nclients_hz:%" PRId64 "\r\nlru_clock:%" PRId64 "\r\n",
              (int)getpid(), supervised_name(server->supervised), server->run_id, config->port,
              clock_wall_us(), uptime_s, uptime_s / 86400, config->hz, config->hz, config->hz,
              server->lru_clock_s & 0xffffff);
    text_addf(out,
              "executable:%s\r\nconfig_file:%s\r\nio_threads_active:0\r\navailability_zone:%s\r\n"
              "tuco_procs:%u\r\ntuco_goroutines:%zu\r\n",
              server->executable, config->file, config->availability_zone, tu_maxprocs(),
              tu_goroutines());
    listening_describe(server, config, out);
}

void info_print_tls(struct server *server, const struct config *config, struct text *out)
{
    static const char *const kinds[] = {"server", "client", "ca"};
    for (int i = 0; i < 3; i++)
        text_addf(out, "tls_%s_cert_serial:none\r\ntls_%s_cert_expires_in_seconds:0\r\n", kinds[i],
                  kinds[i]);
}

void info_print_clients(struct server *server, const struct config *config, struct text *out)
{
    struct client_totals totals;
    struct blocking_stats waiting = blocking_stats(server->keyspace);
    client_registry_totals(server->clients, &totals);
    uint32_t paused = atomic_load_explicit(&server->paused, memory_order_relaxed);
    text_addf(out,
              "connected_clients:%u\r\ncluster_connections:0\r\nmaxclients:%" PRId64
              "\r\nclient_recent_max_input_buffer:%" PRIu64
              "\r\nclient_recent_max_output_buffer:%" PRIu64
              "\r\nblocked_clients:%u\r\ntracking_clients:0\r\npubsub_clients:0\r\nwatching_"
              "clients:%u\r\n"
              "clients_in_timeout_table:%u\r\ntotal_watched_keys:%" PRIu64
              "\r\ntotal_blocking_keys:%" PRIu64 "\r\ntotal_blocking_keys_on_nokey:%" PRIu64
              "\r\npaused_reason:%s\r\n"
              "paused_actions:%s\r\npaused_timeout_milliseconds:%" PRId64 "\r\n",
              totals.connected, config->maxclients, totals.max_input_bytes, totals.max_output_bytes,
              totals.blocked, totals.watching, totals.with_timeout, totals.watched_keys,
              waiting.keys, waiting.keys_on_missing, paused == PAUSE_NONE ? "none" : "client_pause",
              paused == PAUSE_NONE  ? "none"
              : paused == PAUSE_ALL ? "all"
                                    : "write",
              pause_left_ms(server->pause));
}

void info_print_persistence(struct server *server, const struct config *config, struct text *out)
{
    struct keyspace_stats store;
    keyspace_stats(server->keyspace, &store);
    text_addf(
        out,
        "loading:0\r\nasync_loading:0\r\ncurrent_cow_peak:0\r\ncurrent_cow_size:0\r\n"
        "current_cow_size_age:0\r\ncurrent_fork_perc:0.00\r\ncurrent_save_keys_processed:0\r\n"
        "current_save_keys_total:0\r\nrdb_changes_since_last_save:%" PRIu64
        "\r\nrdb_bgsave_in_progress:0\r\nrdb_last_save_time:%" PRId64
        "\r\nrdb_last_bgsave_status:ok\r\nrdb_last_bgsave_time_sec:-1\r\n"
        "rdb_current_bgsave_time_sec:-1\r\nrdb_saves:0\r\nrdb_last_cow_size:0\r\n"
        "rdb_last_load_keys_expired:0\r\nrdb_last_load_keys_loaded:0\r\naof_enabled:0\r\n"
        "aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\naof_last_rewrite_time_sec:-1\r\n"
        "aof_current_rewrite_time_sec:-1\r\naof_last_bgrewrite_status:ok\r\naof_rewrites:0\r\n"
        "aof_rewrites_consecutive_failures:0\r\naof_last_write_status:ok\r\naof_last_cow_size:0\r\n"
        "module_fork_in_progress:0\r\nmodule_fork_last_cow_size:0\r\n"
        "slot_migration_fork_in_progress:0\r\n",
        store.dirty, server->start_ms / 1000);
}

void info_print_replication(struct server *server, const struct config *config, struct text *out)
{
    text_addf(out,
              "role:master\r\nconnected_slaves:0\r\nreplicas_waiting_psync:0\r\n"
              "master_failover_state:no-failover\r\nmaster_replid:%s\r\n"
              "master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:0\r\n"
              "second_repl_offset:-1\r\nrepl_backlog_active:0\r\nrepl_backlog_size:%" PRId64
              "\r\nrepl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n",
              server->replication_id, config->repl_backlog_size);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void info_print_cpu(struct server *server, const struct config *config, struct text *out)
{
    struct rusage self, children;
    (void)getrusage(RUSAGE_SELF, &self);
    (void)getrusage(RUSAGE_CHILDREN, &children);
    /* There is no main thread that runs the commands: all of them together stand for it. */
    text_addf(out,
              "used_cpu_sys:%.6f\r\nused_cpu_user:%.6f\r\nused_cpu_sys_children:%.6f\r\n"
              "used_cpu_user_children:%.6f\r\nused_cpu_sys_main_thread:%.6f\r\n"
              "used_cpu_user_main_thread:%.6f\r\nused_active_time_main_thread:%.6f\r\n",
              seconds(self.ru_stime), seconds(self.ru_utime), seconds(children.ru_stime),
              seconds(children.ru_utime), seconds(self.ru_stime), seconds(self.ru_utime),
              seconds(self.ru_stime) + seconds(self.ru_utime));
}

void info_print_cluster(struct server *server, const struct config *config, struct text *out)
{
    text_add(out, SLICE("cluster_enabled:0\r\n"));
}

void info_print_scripting(struct server *server, const struct config *config, struct text *out)
{
    text_add(out, SLICE("engines_count:0\r\nengines_total_used_memory:0\r\n"
                        "engines_total_memory_overhead:0\r\n"));
}

void info_print_keyspace(struct server *server, const struct config *config, struct text *out)
{
    for (uint32_t db = 0; db < keyspace_databases(server->keyspace); db++) {
        uint64_t keys = keyspace_size(server->keyspace, db);
        if (keys != 0)
            text_addf(out,
                      "db%u:keys=%" PRIu64 ",expires=%" PRIu64
                      ",avg_ttl=0,keys_with_volatile_items=%" PRIu64 "\r\n",
                      db, keys, keyspace_size_expires(server->keyspace, db),
                      keyspace_size_with_fields(server->keyspace, db));
    }
}
