/* server_signals.c - see server_signals.h.
 *
 * The handler may run on any thread and on any stack, so it only writes its line to the log, put
 * together by hand; platform/signal_pipe.c passes the signal on.
 */
#include "server/server_signals.h"

#include "platform/signal_pipe.h"
#include "server/server.h"

#include <tuco/go.h>
#include <tuco/net.h>

#include <signal.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stopping; /* a signal asked for the end already */

static char *put_number(char *end, long long value)
{
    *--end = '\0';
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return end;
}

static char *put(char *out, const char *text)
{
    while (*text != '\0')
        *out++ = *text++;
    return out;
}

/* Redis's form of a log line from inside a handler. */
static void log_from_handler(const char *message)
{
    char line[200], digits[24], *p = line;
    p = put(p, put_number(digits + sizeof digits, getpid()));
    p = put(p, ":signal-handler (");
    p = put(p, put_number(digits + sizeof digits, (long long)time(NULL)));
    p = put(p, ") ");
    p = put(p, message);
    *p++ = '\n';
    log_raw(line, (size_t)(p - line));
}

static void note_stop(int number)
{
    if (stopping && number == SIGINT) {
        log_from_handler("You insist... exiting now.");
        _exit(1);
    }
    log_from_handler(number == SIGINT ? "Received SIGINT scheduling shutdown..."
                                      : "Received SIGTERM scheduling shutdown...");
    stopping = 1;
}

static void watch(struct server *server, tu_conn *pipe)
{
    char byte;
    while (tu_read(pipe, &byte, 1) == 1) {
        const struct config *c;
        struct config_pin pin = {0};
        c = config_pin_refresh(&server->config, &pin);
        int flags = byte == SIGINT ? c->shutdown_on_sigint : c->shutdown_on_sigterm;
        config_pin_release(&server->config, &pin);
        server_shutdown(server, flags);
    }
    tu_close(pipe);
}

int server_signals_start(struct server *server)
{
    static const int stop[] = {SIGTERM, SIGINT}, ignored[] = {SIGHUP, SIGPIPE, SIGUSR1};
    tu_conn *pipe;
    int fd = signal_pipe_open(stop, sizeof stop / sizeof *stop, note_stop);
    int rc = fd < 0 ? fd : tu_conn_from_fd(&pipe, fd);
    if (rc == 0)
        rc = tu_go(watch, server, pipe);
    signal_ignore(ignored, sizeof ignored / sizeof *ignored);
    return rc;
}
