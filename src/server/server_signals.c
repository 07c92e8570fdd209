/* server_signals.c - see server_signals.h.
 *
 * The signals are blocked in every thread and read from a descriptor like any other input, so there is
 * no handler that could run in the middle of something, and no thread's sleep is cut short.
 */
#include "server/server_signals.h"

#include "platform/clock.h"
#include "platform/signals.h"
#include "server/server.h"

#include <tuco/go.h>
#include <tuco/net.h>

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const int stop_signals[] = {SIGTERM, SIGINT};
enum { STOP_SIGNALS = sizeof stop_signals / sizeof *stop_signals };

/* Redis's form of a log line about a signal. */
static void log_signal(const char *message)
{
    char line[200];
    int size = snprintf(line, sizeof line, "%d:signal-handler (%lld) %s\n", (int)getpid(),
                        (long long)(clock_wall_us() / 1000000), message);
    log_raw(line, (size_t)size);
}

static void stop_for(struct server *server, int number, bool again)
{
    struct config_pin pin = {0};
    if (again && number == SIGINT) {
        log_signal("You insist... exiting now.");
        _exit(1);
    }
    log_signal(number == SIGINT ? "Received SIGINT scheduling shutdown..."
                                : "Received SIGTERM scheduling shutdown...");
    const struct config *config = config_pin_refresh(&server->config, &pin);
    int flags = number == SIGINT ? config->shutdown_on_sigint : config->shutdown_on_sigterm;
    config_pin_release(&server->config, &pin);
    server_shutdown(server, flags);
}

static void watch(struct server *server, tu_conn *signals)
{
    char record[SIGNAL_RECORD_SIZE];
    bool again = false;
    while (tu_read(signals, record, sizeof record) == SIGNAL_RECORD_SIZE) {
        stop_for(server, signals_number(record), again);
        again = true;
    }
    tu_close(signals);
}

void server_signals_block(void)
{
    signals_block(stop_signals, STOP_SIGNALS);
}

int server_signals_start(struct server *server)
{
    static const int ignored[] = {SIGHUP, SIGPIPE, SIGUSR1};
    tu_conn *signals;
    signals_ignore(ignored, sizeof ignored / sizeof *ignored);
    int fd = signals_open(stop_signals, STOP_SIGNALS);
    int rc = fd < 0 ? fd : tu_conn_from_fd(&signals, fd);
    return rc == 0 ? tu_go(watch, server, signals) : rc;
}
