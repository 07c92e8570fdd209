/* main.c - tuco-server: the one place that knows every room.
 *
 * Order: arguments that only print; configuration; fork, because a fork takes only the calling thread
 * along; crash handlers, which the runtime's own handler chains to; runtime; server.
 */
#include "server/config_file.h"
#include "server/config_table.h"
#include "server/crash_report.h"
#include "server/proc_title.h"
#include "server/self_check.h"
#include "server/server.h"
#include "server/server_signals.h"
#include "server/supervise.h"

#include <tuco/go.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void print_version(void)
{
    printf("Tuco server v=%s sha=00000000:0 malloc=libtuco bits=%zu build=%s redis=%s\n",
           TUCO_VERSION, sizeof(long) * 8, __VERSION__, REDIS_VERSION);
}

static void print_usage(FILE *out)
{
    fprintf(out,
            "Usage: tuco-server [FILE] [--DIRECTIVE VALUE ...] [-]\n"
            "       tuco-server -                 configuration from standard input\n"
            "       tuco-server -v | --version\n"
            "       tuco-server -h | --help\n"
            "       tuco-server --test-memory MEGABYTES\n"
            "       tuco-server --check-system\n"
            "\n"
            "FILE is a redis.conf; every directive may also be given as an option, which then\n"
            "counts more than the file.\n"
            "\n"
            "Examples:\n"
            "       tuco-server --port 7777\n"
            "       tuco-server /etc/tuco/tuco.conf --loglevel verbose\n"
            "       echo 'maxmemory 128mb' | tuco-server -\n");
}

/* Arguments that make the program do something else than serve. True: done, *status to exit with. */
static bool run_other_task(int argc, char **argv, int *status)
{
    *status = 0;
    if (argc < 2)
        return false;
    if (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--version") == 0) {
        print_version();
        return true;
    }
    if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
        print_usage(stdout);
        return true;
    }
    if (strcmp(argv[1], "--check-system") == 0) {
        *status = self_check_system() ? 0 : 1;
        return true;
    }
    if (strcmp(argv[1], "--test-memory") == 0) {
        long megabytes = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
        if (megabytes <= 0) {
            fprintf(stderr, "Please specify the amount of memory to test in megabytes.\n"
                            "Example: tuco-server --test-memory 4096\n\n");
            *status = 1;
        } else {
            *status = self_check_memory((size_t)megabytes) ? 0 : 1;
        }
        return true;
    }
    return false;
}

static struct config *load_configuration(int argc, char **argv)
{
    struct config_file_error error;
    struct config *config = config_default();
    int rc = config == NULL ? -ENOMEM : config_read_arguments(config, argc, argv, &error);
    if (rc == 0) {
        char here[PATH_MAX];
        if (getcwd(here, sizeof here) != NULL && !config_assign(&config->dir, slice_of(here)))
            rc = -ENOMEM;
        if (config->daemonize && config->pidfile[0] == '\0' &&
            !config_assign(&config->pidfile, SLICE("/var/run/tuco.pid")))
            rc = -ENOMEM;
    }
    if (rc == 0)
        return config;
    if (rc == -EINVAL)
        config_file_complain(&error, stderr);
    config_free(config);
    return NULL;
}

static void become_daemon(void)
{
    if (fork() != 0)
        _exit(0);
    (void)setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
        (void)dup2(null, STDERR_FILENO);
        if (null > STDERR_FILENO)
            (void)close(null);
    }
}

/* Names the directives that were given a value of their own and that nothing reads yet. */
static void say_idle(const struct config *config)
{
    struct text names = {0};
    struct config *defaults = config_default();
    for (size_t i = 0; defaults != NULL && i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        if ((row->flags & CONFIG_IDLE) && strcmp(row->name, "save") != 0 &&
            !config_row_equal(row, config, defaults))
            text_addf(&names, "%s%s", names.size == 0 ? "" : ", ", row->name);
    }
    if (names.size != 0)
        log_notice("Accepted, but without effect in this version: %s", names.data);
    config_free(defaults);
    text_free(&names);
}

static void say_hello(const struct config *config, int argc)
{
    log_notice("oO0OoO0OoO0Oo Tuco is starting oO0OoO0OoO0Oo");
    log_notice("Tuco version=%s, redis=%s, bits=%zu, pid=%d, just started", TUCO_VERSION,
               REDIS_VERSION, sizeof(long) * 8, (int)getpid());
    if (argc == 1)
        log_warning(
            "Warning: no config file specified, using the default config. In order to specify "
            "a config file use tuco-server /path/to/tuco.conf");
    else
        log_notice("Configuration loaded");
    if (config->appendonly || config->save[0] != '\0')
        log_warning(
            "Persistence is not available in this version: data is lost when the server ends "
            "(--save \"\" --appendonly no say that this is known)");
    if (config->replicaof[0] != '\0')
        log_warning("replicaof is set, but replication is not available in this version: ignored");
    say_idle(config);
}

struct start {
    struct server server;
    struct config *config;
    char executable[PATH_MAX];
    int supervised;
    int status;
};

static void serve(struct start *start)
{
    struct server *server = &start->server;
    int64_t port = start->config->port;
    start->status = 1;
    if (server_init(server, start->config, start->executable) != 0)
        return;
    server->supervised = start->supervised;
    if (start->config->always_show_logo)
        log_notice("Tuco %s: goroutines in C, %u at once", TUCO_VERSION, tu_maxprocs());
    log_notice("Running mode=standalone, port=%lld.", (long long)port);
    if (server_listen(server) != 0)
        return;
    start->status = server_run(server);
}

static void run_main(void *arg)
{
    struct start *start = arg;
    serve(start);
    /* Goroutines of clients may still run: no destructors, no freeing. */
    (void)fflush(stdout);
    _exit(start->status);
}

int main(int argc, char **argv)
{
    static struct start start;
    int status;
    if (run_other_task(argc, argv, &status))
        return status;
    proc_title_init(argc, argv);
    if (readlink("/proc/self/exe", start.executable, sizeof start.executable - 1) < 0)
        (void)snprintf(start.executable, sizeof start.executable, "%s", argv[0]);
    (void)umask(umask(0777) | S_IWGRP | S_IWOTH);
    start.config = load_configuration(argc, argv);
    if (start.config == NULL)
        return 1;
    log_configure(start.config);
    start.supervised = supervise_detect(start.config->supervised);
    if (start.config->daemonize && start.supervised == SUPERVISED_NO)
        become_daemon();
    say_hello(start.config, argc);
    if (start.config->crash_log_enabled)
        crash_report_install();
    /* A batch's input, replies and words lie on the handler's stack, and commands write text below
     * them; only what is touched becomes memory. */
    server_signals_block();
    struct tu_options options = {.maxprocs = (unsigned)start.config->tuco_procs,
                                 .stack_size = 256 * 1024,
                                 .sigquit = TU_SIGQUIT_CONTINUE};
    int rc = tu_main(&options, run_main, &start);
    log_warning("The runtime could not start: %s", strerrordesc_np(-rc));
    return 1;
}
