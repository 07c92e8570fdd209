/* server.c - the life of a server; see server.h.
 *
 * Three goroutines of its own beside those that accept: the cron (rates, clocks, idle clients), the
 * expirer, and the one that reads signals. Each looks at `state` after every sleep and leaves when the
 * server stops. server_run waits for the first server_shutdown and then ends in order: no new
 * connections, the sockets' files and the pid file away, the last line of the log.
 */
#include "server/server.h"

#include "platform/clock.h"
#include "platform/entropy.h"
#include "server/client_registry.h"
#include "server/command.h"
#include "server/command_log.h"
#include "server/config_apply.h"
#include "server/latency.h"
#include "server/listening.h"
#include "server/memory_return.h"
#include "server/pause.h"
#include "server/server_signals.h"
#include "server/supervise.h"
#include "server/text.h"
#include "store/expire.h"
#include "store/keyspace.h"
#include "store/lazy_free.h"

#include <tuco/go.h>
#include <tuco/mem.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    CRON_PERIOD_MS = 100,
    MEMORY_PERIOD_MS = 10, /* while maxmemory is set */
    EXPIRE_PERIOD_MS = 25,
    EXPIRE_BUDGET = 20000,
};

static bool running(const struct server *server)
{
    return atomic_load_explicit(&server->state, memory_order_relaxed) != SERVER_STOPPING;
}

static int64_t wall_ms(void)
{
    return clock_wall_us() / 1000;
}

static int64_t used_bytes(void)
{
    struct tu_mem_stats stats;
    tu_mem_stats(&stats);
    return (int64_t)stats.used_bytes;
}

static void sample_memory(struct server *server)
{
    int64_t used = used_bytes();
    atomic_store_explicit(&server->used_bytes, used, memory_order_relaxed);
    if (used > atomic_load_explicit(&server->peak_bytes, memory_order_relaxed))
        atomic_store_explicit(&server->peak_bytes, used, memory_order_relaxed);
}

static void run_cron(struct server *server)
{
    struct config_pin pin = {0};
    int64_t next_ms = 0, next_second_ms = 0;
    while (running(server)) {
        const struct config *config = config_pin_refresh(&server->config, &pin);
        int64_t now_ms = wall_ms();
        sample_memory(server);
        if (now_ms >= next_ms || next_ms - now_ms > CRON_PERIOD_MS) {
            next_ms = now_ms + CRON_PERIOD_MS;
            stats_sample(server->stats, tu_now());
            atomic_store_explicit(&server->lru_clock_s, now_ms / 1000, memory_order_relaxed);
        }
        if (now_ms >= next_second_ms || next_second_ms - now_ms > 1000) {
            next_second_ms = now_ms + 1000;
            client_registry_cron(server->clients, config, now_ms);
        }
        int64_t sleep_ms = 1000 / config->hz; /* hz is 1 to 500 */
        if (sleep_ms > CRON_PERIOD_MS)
            sleep_ms = CRON_PERIOD_MS;
        if (config->maxmemory != 0 && sleep_ms > MEMORY_PERIOD_MS)
            sleep_ms = MEMORY_PERIOD_MS;
        if (tu_sleep(sleep_ms * TU_MS) != 0)
            break;
    }
    config_pin_release(&server->config, &pin);
}

/* One turn of the expirer, measured; true if there is more to do. */
static bool expire_turn(struct server *server, int64_t threshold_ms)
{
    int64_t start_ns = tu_now();
    bool more = expire_run(server->keyspace, wall_ms(), EXPIRE_BUDGET);
    int64_t took_ms = (tu_now() - start_ns) / 1000000;
    if (threshold_ms != 0 && took_ms >= threshold_ms)
        latency_add(server->latency, LATENCY_EXPIRE_CYCLE, took_ms, wall_ms() / 1000);
    return more;
}

static void run_expire(struct server *server)
{
    struct config_pin pin = {0};
    struct memory_return memory = {0};
    while (running(server)) {
        const struct config *config = config_pin_refresh(&server->config, &pin);
        bool more = !atomic_load_explicit(&server->expire_paused, memory_order_relaxed) &&
                    !config->import_mode &&
                    atomic_load_explicit(&server->paused, memory_order_relaxed) == PAUSE_NONE &&
                    expire_turn(server, config->latency_monitor_threshold);
        if (!more && memory_return_due(&memory, used_bytes(), wall_ms()))
            (void)tu_mem_release();
        if (more)
            tu_yield();
        else if (tu_sleep(EXPIRE_PERIOD_MS * TU_MS) != 0)
            break;
    }
    config_pin_release(&server->config, &pin);
}

static int make_parts(struct server *server, const struct config *config)
{
    struct keyspace_options options = {.shards = (uint32_t)config->tuco_shards,
                                       .databases = (uint32_t)config->databases};
    server->keyspace = keyspace_new(&options);
    server->clients = client_registry_new();
    server->stats = stats_create(command_id_count());
    server->command_log = command_log_new();
    server->latency = latency_new();
    server->pause = pause_new(server);
    server->listening = listening_new();
    return server->keyspace == NULL || server->clients == NULL || server->stats == NULL ||
                   server->command_log == NULL || server->latency == NULL ||
                   server->pause == NULL || server->listening == NULL
               ? -ENOMEM
               : 0;
}

int server_init(struct server *server, struct config *config, const char *executable)
{
    *server = (struct server){.start_ms = wall_ms(), .start_ns = tu_now()};
    entropy_hex(server->run_id, 40);
    entropy_hex(server->replication_id, 40);
    server->lru_clock_s = server->start_ms / 1000;
    server->executable = text_copy(slice_of(executable));
    tu_mem_on_shortage(lazy_free_help);
    tu_wait_group_add(&server->finished, 1);
    int rc = make_parts(server, config);
    if (rc != 0 || server->executable == NULL) {
        log_warning("Out of memory at the start");
        return -ENOMEM;
    }
    config_fit_descriptors(config);
    const char *wrong =
        config_apply(server, config, EFFECT_EVENTS | EFFECT_MEMORY | EFFECT_CLOCK | EFFECT_TITLE);
    if (wrong != NULL)
        return -EINVAL;
    sample_memory(server);
    server->startup_bytes = server->used_bytes;
    config_publish(&server->config, config);
    return 0;
}

void server_free(struct server *server)
{
    atomic_store(&server->state, SERVER_STOPPING);
    if (server->listening != NULL)
        listening_close_all(server);
    tu_free(server->listening);
    client_registry_free(server->clients);
    stats_free(server->stats);
    command_log_free(server->command_log);
    latency_free(server->latency);
    pause_free(server->pause);
    keyspace_free(server->keyspace);
    config_store_free(&server->config);
    tu_free(server->executable);
}

/* Redis warns when the kernel shortens the queue of connections that wait to be accepted. */
static void check_backlog(const struct config *config)
{
    FILE *f = fopen("/proc/sys/net/core/somaxconn", "re");
    long limit;
    if (f != NULL && fscanf(f, "%ld", &limit) == 1 && limit > 0 && limit < config->tcp_backlog)
        log_warning("WARNING: The TCP backlog setting of %" PRId64
                    " cannot be enforced because /proc/sys/net/core/somaxconn is set to the lower "
                    "value of %ld.",
                    config->tcp_backlog, limit);
    if (f != NULL)
        (void)fclose(f);
}

int server_listen(struct server *server)
{
    const struct config *config = atomic_load(&server->config.current);
    if (config->port != 0)
        check_backlog(config);
    int rc = listening_open_tcp(server, config);
    if (rc != 0) {
        log_warning("Failed listening on port %" PRId64 " (tcp), aborting.", config->port);
        return rc;
    }
    rc = listening_open_unix(server, config);
    if (rc != 0) {
        log_warning("Failed listening on port 0 (unix), aborting.");
        return rc;
    }
    if (!listening_has_tcp(server) && !listening_has_unix(server)) {
        log_warning("Configured to not listen anywhere, exiting.");
        return -EDESTADDRREQ;
    }
    return 0;
}

static void write_pid_file(const struct config *config)
{
    if (config->pidfile[0] == '\0')
        return;
    FILE *f = fopen(config->pidfile, "we");
    if (f == NULL)
        return; /* as Redis: a missing directory is no reason not to run */
    (void)fprintf(f, "%d\n", (int)getpid());
    (void)fclose(f);
}

static void say_ready(struct server *server)
{
    log_notice("Server initialized");
    if (listening_has_tcp(server))
        log_notice("Ready to accept connections tcp");
    if (listening_has_unix(server))
        log_notice("Ready to accept connections unix");
    if (server->supervised == SUPERVISED_SYSTEMD) {
        (void)supervise_notify("STATUS=Ready to accept connections\n");
        (void)supervise_notify("READY=1\n");
    }
}

/* What is left to be done when no more commands shall run. */
static void finish(struct server *server)
{
    log_notice("User requested shutdown...");
    if (server->supervised == SUPERVISED_SYSTEMD)
        (void)supervise_notify("STOPPING=1\n");
    tu_mutex_lock(&server->admin); /* from here on nobody replaces it */
    const struct config *config = atomic_load(&server->config.current);
    if ((config->daemonize || config->pidfile[0] != '\0') && access(config->pidfile, F_OK) == 0) {
        log_notice("Removing the pid file.");
        (void)unlink(config->pidfile);
    }
    if (config->unixsocket[0] != '\0') {
        log_notice("Removing the unix socket file.");
        (void)unlink(config->unixsocket);
    }
    listening_close_all(server);
    log_warning("Tuco is now ready to exit, bye bye...");
}

int server_run(struct server *server)
{
    int rc = server_signals_start(server);
    if (rc == 0)
        rc = tu_go(run_cron, server);
    if (rc == 0)
        rc = tu_go(run_expire, server);
    if (rc != 0) {
        log_warning("Can't start background work: %s", strerrordesc_np(-rc));
        return 1;
    }
    int starting = SERVER_STARTING;
    (void)atomic_compare_exchange_strong(&server->state, &starting, SERVER_RUNNING);
    struct config_pin pin = {0};
    const struct config *config = config_pin_refresh(&server->config, &pin);
    if (config->daemonize || config->pidfile[0] != '\0')
        write_pid_file(config);
    config_pin_release(&server->config, &pin);
    say_ready(server);
    (void)tu_wait_group_wait(&server->finished);
    finish(server);
    return 0;
}

void server_admin_lock(struct server *server, bool may_park)
{
    if (may_park) {
        tu_mutex_lock(&server->admin);
        return;
    }
    /* Whoever holds it never waits for a shard, so this ends. */
    while (!tu_mutex_try_lock(&server->admin))
        (void)usleep(200);
}

void server_shutdown(struct server *server, int flags)
{
    /* Without persistence all the ways to end are the same: nothing can be saved, nothing lost. */
    if (atomic_exchange(&server->state, SERVER_STOPPING) != SERVER_STOPPING)
        tu_wait_group_done(&server->finished);
}
